"""`python -m mocme` is `mocme`."""

import sys

from mocme.cli import main

if __name__ == "__main__":
    sys.argv[0] = "mocme"
    main()
