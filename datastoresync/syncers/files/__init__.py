"""Files as stores: CSV, TSV, JSON, workbooks, Parquet."""
