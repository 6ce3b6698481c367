"""A run as one HTML page that needs no network, its figures beside it as SVG, PNG and CSV."""
