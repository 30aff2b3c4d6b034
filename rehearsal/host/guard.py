"""Run a Python module as `python -u -m MODULE …` would, in a process that ends with its parent.

Used for what the engine or the host starts and what does not watch its parent itself (policy packs, dynamic
providers). It runs by its path in the program's own environment, where `rehearsal` may not be installed, so it
imports nothing of the project.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time

POLL_SECONDS = 0.5


def end_with_parent() -> None:
    """Make this process end when its parent does."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    # `python -m` would have put the working directory first; a script puts its own folder there.
    sys.path[0] = str(os.getcwd())  # noqa: PTH109 -- sys.path holds text
    module, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
