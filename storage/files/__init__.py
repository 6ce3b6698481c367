"""Files: which may be opened, which are mocme's own, how they are checked and kept."""
