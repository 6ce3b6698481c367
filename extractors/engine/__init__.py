"""How items become stored vectors, whatever extracts them: the parts behind `extraction`."""
