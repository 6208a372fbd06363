"""Rows that stay in their PostgreSQL."""
