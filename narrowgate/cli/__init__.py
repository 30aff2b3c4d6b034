"""The command line: a thin shell over the library. Verbs of a room are in the module of its name.

Nothing here decides anything; a command parses, calls the library and prints.
"""

from narrowgate.cli.app import main

__all__ = ["main"]
