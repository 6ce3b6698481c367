"""Rules mined from the training triples: which facts in a row imply another one."""
