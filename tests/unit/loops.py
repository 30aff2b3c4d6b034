"""Runs a coroutine of a test: not a test module, but what several of them share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Answer = TypeVar("Answer")


def run_alone(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run `work` in a loop of its own and return its answer.

    `asyncio.run` would leave the thread without a loop, and Pulumi's SDK, in a test after it, takes the thread's.
    """
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
