"""Outlines, and how they are rendered as plain text, terminal text and HTML."""
