"""What each relation of a graph is like: learned from its facts, or stated."""
