"""One training, from its first epoch to its last, in one process or several."""
