"""Conversions by declared type."""
