"""What `extractors.media.picture` is made of: formats that Pillow misreads, colours, drawings."""
