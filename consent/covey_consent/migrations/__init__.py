"""The schema's migrations, run by Alembic; `schema` says when."""
