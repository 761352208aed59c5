"""`python -m aethex` is the command `aethex`."""

from aethex.cli import main

main()
