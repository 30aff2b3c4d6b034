"""What is held is shared, renewed in time, and never given out when it is over; failures neither hang nor multiply."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from narrowgate.runtime import VaultUnavailableError
from narrowgate.runtime import clock as runtime_clock
from narrowgate.runtime.holding import Holder, Issue, SingleFlight, renewal_seconds


class Issuer:
    """Issues numbers, for 100 seconds each, by login number `generation`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.count = 0
        self.generation = 1
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> Issue[int]:
        assert self.gate.wait(10)
        if self.fails:
            raise VaultUnavailableError("down")
        self.count += 1
        return Issue(self.count, self.now, 100.0, self.generation)


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Issuer:
    made = Issuer()
    monkeypatch.setattr(runtime_clock, "read", lambda: made.now)
    return made


def test_one_is_issued_for_many_threads(issuer: Issuer) -> None:
    issuer.gate.clear()
    holder = Holder("t", issuer, follows_login=False)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(holder.get, 1) for _ in range(8)]
        issuer.gate.set()
        assert {future.result(10) for future in asked} == {1}


def test_it_is_renewed_before_it_ends_and_not_early(issuer: Issuer) -> None:
    holder = Holder("t", issuer, follows_login=False)
    assert [holder.get(1), holder.peek(1)] == [1, 1]
    issuer.now = 49
    assert holder.get(1) == 1
    issuer.now = 67
    assert holder.peek(1) is None
    assert holder.get(1) == 2


def test_two_never_renew_together() -> None:
    times = {renewal_seconds(900) for _ in range(50)}
    assert len(times) > 40
    assert 450 <= min(times) <= max(times) <= 600


def test_while_renewal_fails_the_old_one_serves_until_it_is_over_and_no_longer(issuer: Issuer) -> None:
    holder = Holder("t", issuer, follows_login=False)
    holder.get(1)
    issuer.fails = True
    for now in (70, 80, 99.9):
        issuer.now = now
        assert holder.get(1) == 1
    issuer.now = 100
    with pytest.raises(VaultUnavailableError):
        holder.get(1)
    issuer.fails = False
    assert holder.get(1) == 2


def test_a_failed_renewal_is_not_tried_again_at_once(issuer: Issuer) -> None:
    holder = Holder("t", issuer, follows_login=False)
    holder.get(1)
    issuer.fails, issuer.now = True, 70
    assert holder.get(1) == 1
    issuer.fails, issuer.now = False, 74
    assert holder.get(1) == 1
    issuer.now = 76
    assert holder.get(1) == 2


def test_a_renewal_that_takes_long_holds_nobody_up(issuer: Issuer) -> None:
    holder = Holder("t", issuer, follows_login=False)
    holder.get(1)
    issuer.now = 70
    issuer.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(holder.get, 1)
        while not holder._flight.busy:  # noqa: SLF001 - nothing else tells
            pass
        assert holder.get(1) == 1
        issuer.gate.set()
        assert slow.result(10) == 2


def test_what_another_login_made_or_a_server_rejected_counts_for_nothing(issuer: Issuer) -> None:
    holder = Holder("t", issuer, follows_login=True)
    assert holder.get(1) == 1
    issuer.generation = 2
    assert holder.peek(2) is None
    assert holder.get(2) == 2
    assert holder.get(1) == 2
    assert holder.get(2, rejected=2) == 3
    issuer.fails = True
    with pytest.raises(VaultUnavailableError):
        holder.get(2, rejected=3)


def test_one_error_serves_all_who_waited_for_it() -> None:
    flight: SingleFlight[int] = SingleFlight()
    gate, tries = threading.Event(), []

    def fail() -> int:
        tries.append(1)
        assert gate.wait(10)
        raise VaultUnavailableError("down")

    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(flight.run, fail)
        while not tries:
            pass
        others = [pool.submit(flight.run, fail) for _ in range(5)]
        while len(pool._threads) < 6 or pool._work_queue.qsize():  # noqa: SLF001 - all five are at it
            pass
        gate.set()
        for future in (first, *others):
            with pytest.raises(VaultUnavailableError):
                future.result(10)
    assert not flight.busy
    assert len(tries) <= 2
