"""Databases as stores, through SQLAlchemy."""
