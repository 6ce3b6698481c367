"""Reading the files of a dataset: its two forms, line by line, and what is wrong in them."""
