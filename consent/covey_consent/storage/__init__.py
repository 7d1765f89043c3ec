"""The database (SQLite or PostgreSQL): schema, one writer, sealed columns and private files."""
