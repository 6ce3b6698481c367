"""Filtered ranking, metrics by split, relation and modality, and paired comparison."""
