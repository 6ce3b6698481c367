"""`python -m flows.cli` is `mocme`."""

import sys

from flows.cli import main

if __name__ == "__main__":
    sys.argv[0] = "mocme"
    main()
