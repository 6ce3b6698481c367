"""What `extractors.media.clip` is made of: the index of a clip, its frames, their orientation."""
