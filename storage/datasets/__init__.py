"""Datasets as users keep them: folders, graphs, raw items, splits and their audit."""
