"""From an entity's features, learned row and neighbours to what is scored of it."""
