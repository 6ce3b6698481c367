"""Raw media to feature vectors: one file per extractor, media readers, the extraction engine."""
