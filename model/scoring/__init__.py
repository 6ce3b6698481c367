"""Scores and probabilities of a trained model: blocks, their weights, calibration."""
