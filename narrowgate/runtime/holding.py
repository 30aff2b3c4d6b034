"""Holds what was issued until it is due, so that threads share it and nobody asks Vault twice for the same thing.

It must not know what it holds, and must never give out anything whose time is over.
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from narrowgate.runtime import clock
from narrowgate.runtime.errors import ToolUnavailableError, VaultSealedError, VaultUnavailableError
from narrowgate.runtime.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# What is renewed is renewed once between half and two thirds of its life are over, so that agents that started
# together do not renew together.
EARLIEST_SHARE, LATEST_SHARE = 0.5, 0.66
# After a failed renewal of something that still serves, nobody tries again for so long.
PAUSE_SECONDS = 5.0
FAILURES = (VaultSealedError, VaultUnavailableError, ToolUnavailableError)


def renewal_seconds(ttl_seconds: float) -> float:
    """Return after how many seconds something that lives `ttl_seconds` is to be renewed: never twice the same."""
    return ttl_seconds * random.uniform(EARLIEST_SHARE, LATEST_SHARE)  # noqa: S311 - jitter, no secret


class SingleFlight(Generic[T]):
    """Runs a piece of work once for all threads that ask for it meanwhile; they share its result, or its error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flight: Future[T] | None = None

    @property
    def busy(self) -> bool:
        """Return whether somebody is at work."""
        return self._flight is not None

    def run(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, or of another thread's work that was under way; raise what it raised."""
        with self._lock:
            flight = self._flight
            if flight is None:
                mine: Future[T] = Future()
                self._flight = mine
        if flight is not None:
            return flight.result()
        try:
            result = work()
        except BaseException as error:
            self._flight = None
            mine.set_exception(error)
            raise
        self._flight = None
        mine.set_result(result)
        return result


@dataclass(frozen=True, slots=True)
class Issue(Generic[T]):
    """Something issued at `issued_at` (`clock.read()`) by the login number `generation`, for `ttl_seconds`."""

    value: T
    issued_at: float
    ttl_seconds: float
    generation: int


@dataclass(frozen=True, slots=True)
class _Hold(Generic[T]):
    value: T
    renew_at: float
    ends_at: float
    generation: int


class Holder(Generic[T]):
    """Holds one thing that `issue` makes. Its methods may be called from several threads; its repr shows nothing.

    What another login made counts for nothing, where `follows_login`: it ended with that login.
    """

    def __init__(self, name: str, issue: Callable[[], Issue[T]], *, follows_login: bool) -> None:
        self._name = name
        self._issue = issue
        self._follows_login = follows_login
        self._flight: SingleFlight[_Hold[T]] = SingleFlight()
        self._hold: _Hold[T] | None = None

    def __repr__(self) -> str:
        """Name what is held only."""
        return f"<Holder {self._name}>"

    def peek(self, generation: int) -> T | None:
        """Return what is held if it need not be renewed yet; never waits. `generation` numbers the login in use."""
        hold = self._usable(generation, None)
        return hold.value if hold is not None and clock.read() < hold.renew_at else None

    def get(self, generation: int, *, rejected: T | None = None) -> T:
        """Return what is held, issued anew when it is due, or when it is what a server `rejected`.

        When issuing fails while the old one still serves, that one is returned, and the failure logged.
        Raises what `issue` raises.
        """
        hold = self._usable(generation, rejected)
        if hold is not None and (clock.read() < hold.renew_at or self._flight.busy):
            return hold.value  # where it is due, another thread renews it already, and this one still serves
        return self._flight.run(lambda: self._renew(generation, rejected)).value

    def _usable(self, generation: int, rejected: T | None) -> _Hold[T] | None:
        hold = self._hold
        if hold is None or hold.value is rejected or clock.read() >= hold.ends_at:
            return None
        return None if self._follows_login and hold.generation < generation else hold

    def _renew(self, generation: int, rejected: T | None) -> _Hold[T]:
        hold = self._usable(generation, rejected)
        if hold is not None and clock.read() < hold.renew_at:
            return hold  # another thread was faster
        try:
            issue = self._issue()
        except FAILURES as error:
            now = clock.read()
            if hold is None or now >= hold.ends_at:
                raise
            logger.warning("agent.renewal-failed", tool=self._name, code=error.code)
            self._hold = replace(hold, renew_at=min(now + PAUSE_SECONDS, hold.ends_at))
            return self._hold
        self._hold = _Hold(
            issue.value,
            issue.issued_at + renewal_seconds(issue.ttl_seconds),
            issue.issued_at + issue.ttl_seconds,
            issue.generation,
        )
        return self._hold
