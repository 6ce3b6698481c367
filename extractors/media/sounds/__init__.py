"""What `extractors.media.sound` is made of: decoders, and lengths that headers get wrong."""
