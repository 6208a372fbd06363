"""The older systems' names for what is here: they translate, and hold no logic of their own."""
