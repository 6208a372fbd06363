"""Rows of a Spark session."""
