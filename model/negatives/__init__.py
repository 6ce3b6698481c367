"""Negatives: how they are drawn, weighed (EGNS) and enter the loss."""
