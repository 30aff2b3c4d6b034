"""One executor of one tool: makes cases of drafts, waits for people, and carries out exactly what they approved, once.

Several replicas may run. What two of them must not both do is decided by Vault: create-only entries for the held
request, the case, the claim and the outcome, and the unwrapping, which works once. What a crash leaves open another
replica takes over; what cannot be known then is recorded as in doubt. It must not approve anything.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import structlog

from narrowgate.approvals.case import Case, Outcome, State, now, parse_case
from narrowgate.approvals.errors import (
    ApprovalsError,
    CaseAlteredError,
    NoGateError,
    NotFoundError,
    SettingsError,
    TargetDownError,
    VaultDownError,
)
from narrowgate.approvals.execution import Execution
from narrowgate.approvals.handlers import Credentials, Plan, find_handler
from narrowgate.approvals.intake import Intake
from narrowgate.approvals.recording import GateWitness, open_ledger
from narrowgate.approvals.store import Holder, Store
from narrowgate.approvals.vault import Vault
from narrowgate.approvals.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from narrowgate.approvals.settings import Gate, GatedAction
    from narrowgate.audit.ledger import Ledger

T = TypeVar("T")
logger = structlog.get_logger("narrowgate.approvals")
# Approved requests do not wait until every draft of a great many has become a case.
DRAFTS_AT_ONCE: Final = 20
# A claim holds for this long; the handlers' own time limits are shorter.
CLAIM_SECONDS: Final = 60
READER_SHARE: Final = 3
# A login of the executor is renewed by a new one once this share of its life is left.
LOGIN_SHARE: Final = 3


class Executor:
    """One replica of a tool's executor. `source` returns the executor's own token of the identity provider.

    `ledger` keeps a record before and after each execution: a ledger, a file, or a folder; without it NARROWGATE_LEDGER
    says where, and without that it is `narrowgate/<environment>/executor.<tool>.jsonl` in the user's state folder.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        gate: Gate,
        tool: str,
        source: Callable[[], str],
        *,
        verify: str | bool,
        claim_seconds: int = CLAIM_SECONDS,
        ledger: Ledger | Path | str | None = None,
    ) -> None:
        if tool not in gate.executors:
            known = ", ".join(sorted(gate.executors)) or "none"
            raise SettingsError(f"No tool {tool!r} has gated actions; these have: {known}.")
        self.gate, self.tool, self.claim_seconds = gate, tool, claim_seconds
        self.name = f"{tool}@{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.stopping = threading.Event()
        """Set it from anywhere: the request in hand is finished, and no other is begun."""
        self.read_token = source
        self.announce: Callable[[Case], None] | None = None
        """What is told of each new case."""
        self.vault = Vault(gate.address, namespace=gate.namespace, verify=verify)
        self.store = Store(gate, self.vault)
        self.ledger = open_ledger(ledger, gate.environment, tool)
        self._login_ends = 0.0
        self._login_seconds = 0.0
        self._intake = Intake(self)
        self._waiting = Waiting(self.store)
        self._readers: dict[str, tuple[float, Credentials]] = {}
        self.begun: set[str] = set()
        """The requests whose credentials this replica began to take, until it has recorded how they ended."""
        # What became of a request and could not be written yet: kept until it is.
        self._unwritten: dict[str, Outcome] = {}

    @property
    def actions(self) -> tuple[GatedAction, ...]:
        """Return the gated actions of this executor's tool."""
        return tuple(action for action in self.gate.actions if action.tool == self.tool)

    def work(self) -> int:
        """Do what there is to do once, and return how many requests moved on.

        One request's trouble is logged and does not hold up the others.

        Raises:
            VaultDownError: Vault cannot answer; nothing is lost.
            LoginError, VaultRefusedError: this executor is not let in.
            NoGateError: Vault does not hold a gated path back: nothing may be served.

        """
        self.log_in()
        stopped = bool(self.store.read_stops())
        moved = 0
        for workflow in sorted({action.workflow for action in self.actions}):
            opened = self.store.list_open(workflow, self.tool)
            drafts = [] if stopped else self._intake.find(workflow, frozenset(opened))
            for place in _begin_anywhere(drafts)[:DRAFTS_AT_ONCE]:
                moved += self._guard(self._intake.receive, workflow, *place)
            due = opened if stopped else self._waiting.find_due(workflow, opened)
            for request in _begin_anywhere(due):
                moved += self._guard(self._advance, request, stopped)
        return moved

    def log_in(self) -> None:
        """Log in, unless the login still serves. Raises LoginError or VaultDownError."""
        left = self._login_ends - time.monotonic()
        if self.vault.token and left > self._login_seconds / LOGIN_SHARE:
            return
        place = self.gate.executors[self.tool]
        auth = self.vault.log_in(place.mount, place.role, self.read_token())
        self._login_seconds = float(auth.get("lease_duration") or 0)
        self._login_ends = time.monotonic() + self._login_seconds
        self._readers.clear()
        with contextlib.suppress(OSError):  # without its folder the first record says what is wrong
            self.ledger.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if place.ledger is not None:
            self.ledger.witness = GateWitness(self.vault, place.ledger, str(auth.get("entity_id") or ""))

    def __enter__(self) -> Self:
        """Return this executor."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections to Vault; it logs out by `log_out`."""
        self.vault.close()

    def forget_login(self) -> None:
        """Log in anew before the next round."""
        self._login_ends = 0.0

    def log_out(self) -> None:
        """Close the ledger by a last checkpoint, and revoke this executor's login; the requests that are held stay."""
        if self.vault.token:
            self.ledger.close()
            self.vault.revoke_self()
            self.vault.token = ""

    def plan(self, action: GatedAction, inputs: Any) -> Plan:  # noqa: ANN401 - checked by the action's schema
        """Read the target as it is now, and return what the action will make of it."""
        handler = find_handler(str(action.execute["handler"]))
        try:
            return handler.plan(action.execute, inputs, action.connection, self._read_reader(action))
        except TargetDownError:
            self._readers.clear()  # perhaps only this login is over
            raise

    def _read_reader(self, action: GatedAction) -> Credentials | None:
        if action.reader_path is None:
            return None
        until, credentials = self._readers.get(action.reader_path, (0.0, None))
        if credentials is None or time.monotonic() >= until:
            asked = time.monotonic()
            answer = self.vault.ask("get", action.reader_path, repeat=True)
            credentials = Credentials(str(answer.get("lease_id") or ""), answer["data"])
            serves = float(answer.get("lease_duration") or 0)
            self._readers[action.reader_path] = (asked + serves - serves / READER_SHARE, credentials)
        return credentials

    # -- open requests move on

    def _advance(self, request: str, stopped: bool) -> bool:  # noqa: FBT001 - called through `_guard`
        entry = self.store.read_held(request, self.tool)
        if entry is None:
            return False
        held = entry.data
        if self.store.read_outcome(request) is not None:
            self._close(request, held)
            return True
        try:
            stored = self.store.read_case(request)
        except NotFoundError:
            self._intake.publish(held)
            return True
        except CaseAlteredError as error:
            return self._end_altered(request, held, str(error))
        outcome = self._unwritten.get(request) or Execution(self, stored.case, held).proceed(stopped=stopped)
        if outcome is None:
            self._waiting.note(stored.case)
            return False
        self._unwritten[request] = outcome
        self.record(request, outcome)
        del self._unwritten[request]
        self.begun.discard(request)
        self._close(request, held)
        return True

    def _end_altered(self, request: str, held: Any, words: str) -> bool:  # noqa: ANN401 - a held entry's data
        """End a request whose case is not what was held, unless another replica may be executing what it has read."""
        outcome = Outcome(State.REFUSED, words, str(held["digest"]), self.name, now().isoformat())
        holder, claim = self.store.find_holder(request, self.name, self.claim_seconds)
        if claim is not None and holder is Holder.GONE and claim.ends is None:
            words = f"the executor {claim.executor} began to execute it, and its case was altered since"
            outcome = replace(outcome, state=State.IN_DOUBT, words=words)
        elif not self.store.take_end(request, self.name, self.claim_seconds, outcome):
            return False
        self.record(request, outcome)
        self._close(request, held)
        return True

    def record(self, request: str, outcome: Outcome) -> None:
        """Write how a request ended; what another replica wrote before stands."""
        ours = self.store.create_outcome(request, outcome)
        logger.info("request.ended", request=request, state=outcome.state.value, recorded=ours)

    def _close(self, request: str, held: Any) -> None:  # noqa: ANN401 - a held entry's data
        """End the request's own login, and so its credentials; answer the agent; then forget its tokens."""
        self.vault.revoke_self(str(held["login"]))
        self.answer(request, parse_case(str(held["case"]), str(held["digest"])).requester.entity)
        self.store.destroy_held(request, self.tool)

    def answer(self, request: str, entity: str) -> None:
        """Tell the agent how its request ended, where it has ended."""
        outcome = self.store.read_outcome(request)
        if outcome is not None:
            self.store.create_answer(request, entity, outcome)

    def _guard(self, step: Callable[..., bool], *arguments: Any) -> bool:  # noqa: ANN401 - the step's own
        """Run one request's step; what is wrong with it is logged, but a Vault that is down or open ends the round."""
        if self.stopping.is_set():
            return False
        try:
            return step(*arguments)
        except (VaultDownError, NoGateError):
            raise
        except ApprovalsError as error:
            logger.warning("request.trouble", at=str(arguments[0]), code=error.code, words=str(error))
        except Exception as error:  # noqa: BLE001 - a handler's mistake holds up its own request only
            # Without its text, which may hold what an agent gave.
            logger.error("request.trouble", at=str(arguments[0]), code=type(error).__name__)  # noqa: TRY400 - as above
        return False


def _begin_anywhere(places: Sequence[T]) -> Sequence[T]:
    """Return `places` from any of them on, and round: replicas that begin together seldom do the same work."""
    start = secrets.randbelow(len(places)) if places else 0
    return [*places[start:], *places[:start]]
