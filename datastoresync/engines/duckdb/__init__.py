"""The embedded engine: rows in files, compared by DuckDB."""
