"""`python -m mocme` is `mocme`."""

from mocme.cli import main

if __name__ == "__main__":
    main()
