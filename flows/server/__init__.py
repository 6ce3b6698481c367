"""What Prefect sees and does: artifacts, progress, states, shards on a cluster, a server."""

from flows.terminal.logs import escape_log_records

escape_log_records()  # a worker of Prefect's imports the flows without the command line
