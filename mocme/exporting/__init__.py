"""What goes to other programs: predicted triples, the graph, stored features."""
