"""How files are called."""


def file_name(directive):
    """Return the name of the file of a table."""
    return f"{directive}.txt"
