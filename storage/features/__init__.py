"""The feature store: vectors by their content's digest, in LMDB, one folder per feature space."""
