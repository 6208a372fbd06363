"""Engines for branches that are too large to be objects: they keep rows where they are, and find what differs there."""
