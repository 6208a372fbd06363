"""What leaves for other programs and people: rows of a stable shape, and a writer for each format."""
