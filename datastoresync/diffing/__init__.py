"""Two sides in, actions out: when values are equal, where to look, what to do."""
