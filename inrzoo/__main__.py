"""`python -m inrzoo`."""

from inrzoo.cli import main

main()
