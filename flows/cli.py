"""An older name of the command line: `python -m flows.cli` is `python -m mocme`."""

import runpy


def main() -> None:
    """Run the command line, as scripts do that were installed before it moved."""
    runpy.run_module("mocme", run_name="__main__")


if __name__ == "__main__":
    main()
