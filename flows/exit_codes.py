"""How the command line ends, for scripts and for whoever runs it in a process of its own."""

INPUT_ERROR = 2
"""Exit code for what the user can mend: usage, config, dataset."""

RUN_FAILED = 1
"""Exit code for a run that failed on good input."""
