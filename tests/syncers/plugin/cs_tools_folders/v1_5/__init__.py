"""A plug-in in the manner of version 1.5."""
