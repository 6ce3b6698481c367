"""What Prefect sees and does: artifacts, progress, states, shards on a cluster, a server."""
