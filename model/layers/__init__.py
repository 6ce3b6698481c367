"""Small pieces of a network that torch lacks: by rows, sparse, scaled, repeatable."""
