"""Data at rest: datasets, graphs, splits, the feature store; no torch, no Prefect, no codecs."""
