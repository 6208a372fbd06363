"""Databases as stores, through SQLAlchemy.

All modules but `syncer` and `url` need it, and are only imported once an `SQLSyncer` opens its database.
"""
