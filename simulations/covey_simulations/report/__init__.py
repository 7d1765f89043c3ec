"""The demo's report: figures, charts, pages in English and Chinese, and checks against the log."""
