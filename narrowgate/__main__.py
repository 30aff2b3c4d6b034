"""`python -m narrowgate` is the command line."""

from narrowgate.cli import main

main()
