"""An outline in; plain text, terminal text and HTML out."""
