"""Syncers of your own, in folders."""
