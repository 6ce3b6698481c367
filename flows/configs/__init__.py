"""The one typed config, read strictly from YAML, changed and written."""
