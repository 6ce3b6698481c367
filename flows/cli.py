"""`python -m flows.cli`, an older name of `python -m mocme`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("mocme", run_name="__main__")
