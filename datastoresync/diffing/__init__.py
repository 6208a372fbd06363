"""The comparison of two sides: equality of values, candidates, and the actions that follow."""
