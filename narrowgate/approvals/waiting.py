"""Which open requests an executor looks at in one round: not those that it knows to wait for people.

Looking whole at a request takes many calls to Vault, and most of the time nothing has happened to it. This only saves
looks: whoever looks reads all of it anew, and so does whoever executes. It must not decide anything.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from narrowgate.approvals.case import now
from narrowgate.approvals.store import put_revocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narrowgate.approvals.case import Case
    from narrowgate.approvals.store import Store

# Whatever else may happen to what waits (a case that was altered, for example) is seen after this time.
LOOK_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Waiter:
    requester: str
    expires: datetime
    look: float


class Waiting:
    """What one executor knows of the requests that wait, by its own last look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiters: dict[str, _Waiter] = {}

    def note(self, case: Case) -> None:
        """Remember that `case` was looked at whole, and waits."""
        expires = datetime.fromisoformat(case.expires_at)
        self._waiters[case.request] = _Waiter(case.requester.name, expires, time.monotonic() + LOOK_SECONDS)

    def find_due(self, workflow: str, opened: Sequence[str]) -> list[str]:
        """Return those of a workflow's `opened` requests that something may have happened to.

        Somebody decided on it, its time is over, its requester or workflow is revoked, or the last look is long ago.
        It costs two calls, however many requests wait; where none does, none.
        """
        ours = {request for request in self._waiters if request.startswith(f"{workflow}.")}
        for closed in ours.difference(opened):
            del self._waiters[closed]
        if ours.isdisjoint(opened):
            return list(opened)
        decided, revoked = self._store.list_decided(workflow), self._store.read_revocations(workflow)

        def is_due(request: str) -> bool:
            waiter = self._waiters.get(request)
            return (
                waiter is None
                or request in decided
                or now() >= waiter.expires
                or time.monotonic() >= waiter.look
                or bool(put_revocation(revoked, waiter.requester))
            )

        return [request for request in opened if is_due(request)]
