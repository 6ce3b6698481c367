"""Files: which may be opened, which are mocme's own, and how they are written, checked and kept."""
