"""`python -m bothways`: the command line."""

from bothways.cli import main

main()
