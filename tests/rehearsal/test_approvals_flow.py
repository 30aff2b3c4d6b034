"""From a draft to its record, with everybody's real logins: what must work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from narrowgate.approvals import State

if TYPE_CHECKING:
    from gate_bench import GateBench


def test_a_draft_is_approved_and_executed_once(bench: GateBench) -> None:
    executor = bench.executor()
    while executor.work():  # what other tests left open
        pass
    request = bench.draft("Aurora Papers Oy")
    assert executor.work() == 1
    with bench.approver("ann") as ann:
        (view,) = [view for view in ann.list_cases() if view.case.request == request]
        assert view.state is State.WAITING
        assert view.case.requester.name == "vera"
        changes = {change.what: (change.before, change.after) for change in view.case.changes}
        assert changes["vendors.status"] == (None, "active")
        assert executor.work() == 0
        assert not bench.vendors("Aurora Papers Oy")
        ann.approve(request, digest=view.digest, reason="Papers checked.", seen_at=view.read_at)
    assert executor.work() == 1
    assert bench.vendors("Aurora Papers Oy") == [("FI", "active")]
    outcome = bench.outcome(request)
    assert outcome is not None
    assert (outcome.state, outcome.verified) == (State.EXECUTED, True)
    assert [person["name"] for person in outcome.approvers] == ["ann"]
    assert outcome.lease.startswith("narrowgate-database-gated/creds/")
    wait_until_no_login(bench)
    assert executor.work() == 0
    with bench.approver("ann") as ann:
        assert request not in {view.case.request for view in ann.list_cases()}
        assert request in {view.case.request for view in ann.list_cases(closed=True)}


def wait_until_no_login(bench: GateBench) -> None:
    """Wait until Vault, which revokes in the background, has taken the gated login out of the database."""
    deadline = time.monotonic() + 30
    while logins := bench.logins():
        assert time.monotonic() < deadline, logins
        time.sleep(0.1)
