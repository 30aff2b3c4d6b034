"""Python's cyclic collector, paused where very many values are made that hold no cycles.

It would walk all of them again each time their number has grown by a quarter: at ten thousand workflows that is most of
the time. This module must not be used where memory is held for long by somebody else's cycles.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the collector, and let it run again afterwards if it ran before."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def collect_young() -> None:
    """Collect what was made since the last time: a parser's cycles, not the values that stay."""
    gc.collect(0)
