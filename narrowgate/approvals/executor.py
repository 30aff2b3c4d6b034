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
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from narrowgate.approvals.canonical import digest_value
from narrowgate.approvals.case import (
    Case,
    Draft,
    Hold,
    Outcome,
    State,
    now,
    parse_case,
    parse_draft,
)
from narrowgate.approvals.errors import (
    ApprovalsError,
    CaseAlteredError,
    DraftError,
    NoGateError,
    NotFoundError,
    SettingsError,
    TargetDownError,
    VaultDownError,
)
from narrowgate.approvals.execution import Execution
from narrowgate.approvals.handlers import Credentials, Plan, find_handler
from narrowgate.approvals.people import read_person
from narrowgate.approvals.recording import GateWitness, open_ledger
from narrowgate.approvals.store import Store
from narrowgate.approvals.vault import Entry, Vault
from narrowgate.runtime.proposals import make_request_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.approvals.settings import Gate, GatedAction
    from narrowgate.audit.ledger import Ledger

logger = structlog.get_logger("narrowgate.approvals")
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
        self._known: set[tuple[str, str, str]] = set()
        self._readers: dict[str, tuple[float, Credentials]] = {}
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
        stops = self.store.read_stops()
        moved = 0
        for workflow in sorted({action.workflow for action in self.actions}):
            for place in () if stops else self._new_drafts(workflow):
                moved += self._guard(self._receive, workflow, *place)
            for request in self.store.list_open(workflow, self.tool):
                moved += self._guard(self._advance, request, bool(stops))
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

    def forget_login(self) -> None:
        """Log in anew before the next round."""
        self._login_ends = 0.0

    def log_out(self) -> None:
        """Close the ledger by a last checkpoint, and revoke this executor's login; the requests that are held stay."""
        if self.vault.token:
            self.ledger.close()
            self.vault.revoke_self()
            self.vault.token = ""

    # -- drafts become cases

    def _new_drafts(self, workflow: str) -> list[tuple[str, str]]:
        drafts = self.store.list_drafts(workflow, self.tool)
        return [place for place in drafts if (workflow, *place) not in self._known]

    def _receive(self, workflow: str, entity: str, draft: str) -> bool:
        """Make a case of a draft that has none; refuse, for the record, one that cannot be one."""
        request = make_request_id(workflow, entity, draft)
        if self._is_known(request):
            self._answer(request, entity)  # a crash may have come between the outcome and the answer
            self._known.add((workflow, entity, draft))
            return False
        entry = self.store.read_draft(workflow, entity, draft)
        if entry is None:
            return False
        try:
            action, parsed = self._check_draft(workflow, draft, entry)
            case = self._make_case(action, parsed, (entity, draft), entry)
        except DraftError as error:
            self._record(request, Outcome(State.REFUSED, str(error), digest_value(dict(entry.data)), self.name, _at()))
            self._answer(request, entity)
            self._known.add((workflow, entity, draft))
            return True
        self._hold(action, case)
        self._known.add((workflow, entity, draft))
        return True

    def _is_known(self, request: str) -> bool:
        if self.store.read_held(request, self.tool) is not None or self.store.read_outcome(request) is not None:
            return True
        try:
            self.store.read_case(request)
        except NotFoundError:
            return False
        return True

    def _check_draft(self, workflow: str, key: str, entry: Entry) -> tuple[GatedAction, Draft]:
        if entry.version != 1:
            raise DraftError(f"The draft was written {entry.version} times.")
        draft = parse_draft(entry.data)
        action = self.gate.find(workflow, draft.action)
        if action is None or not key.startswith(f"{draft.action}."):
            raise DraftError("The draft names no gated action of its workflow, or not the one of its path.")
        check_inputs(action, draft.inputs)
        drafted = datetime.fromisoformat(entry.created)
        if now() >= drafted + timedelta(seconds=action.expires_seconds):
            raise DraftError("The draft is older than an approval may take.")
        return action, draft

    def _make_case(self, action: GatedAction, draft: Draft, place: tuple[str, str], entry: Entry) -> Case:
        entity, key = place
        requester = read_person(self.vault, entity, action.requester_mount, groups=False)
        if requester is None:
            raise DraftError("The draft's author is no login of its workflow.")
        if words := self.store.tell_revocation(action.workflow, requester.name):
            raise DraftError(f"It is not taken up: {words}.")
        plan = self.plan(action, draft.inputs)
        created = now()
        return Case(
            request=make_request_id(action.workflow, entity, key),
            environment=self.gate.environment,
            workflow=action.workflow,
            tool=action.tool,
            action=action.action,
            description=action.description,
            requester=requester,
            draft=key,
            drafted_at=entry.created,
            inputs=draft.inputs,
            rationale=draft.rationale,
            calls=plan.calls,
            target=plan.target,
            changes=plan.changes,
            target_version=None if plan.watched is None else digest_value(plan.watched),
            reversible=str(action.execute.get("reversible") or "not known"),
            factors=action.factors,
            created_at=created.isoformat(),
            expires_at=(created + timedelta(seconds=action.expires_seconds)).isoformat(),
        )

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

    def _hold(self, action: GatedAction, case: Case) -> None:
        """Ask Vault for the gated credentials by a login of this request's own, and keep what it holds."""
        held = hold_request(self.vault, self.gate, action, self.read_token(), case.digest)
        data = {**held, "case": case.text, "digest": case.digest, "path": action.path}
        if not self.store.create_held(case.request, self.tool, data):
            self.vault.revoke_self(held["login"])  # another replica was first
            return
        self._publish(data)
        logger.info("case.made", request=case.request, action=case.name, digest=case.digest)
        if self.announce is not None:
            self.announce(case)

    def _publish(self, held: Any) -> None:  # noqa: ANN401 - a held entry's data
        case = parse_case(str(held["case"]), str(held["digest"]))
        self.store.create_case(case, Hold(str(held["accessor"]), str(held["path"])))

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
            self._publish(held)
            return True
        except CaseAlteredError as error:
            return self._end_altered(request, held, str(error))
        outcome = self._unwritten.get(request) or Execution(self, stored.case, held).proceed(stopped=stopped)
        if outcome is None:
            return False
        self._unwritten[request] = outcome
        self._record(request, outcome)
        del self._unwritten[request]
        self._close(request, held)
        return True

    def _end_altered(self, request: str, held: Any, words: str) -> bool:  # noqa: ANN401 - a held entry's data
        """End a request whose case is not what was held, unless another replica may be executing what it has read."""
        mine = {"version": 1, "executor": self.name, "at": _at(), "ends": State.REFUSED.value, "words": words}
        claim = self.store.read_claim(request)
        outcome = Outcome(State.REFUSED, words, str(held["digest"]), self.name, _at())
        if claim is None and not self.store.create_claim(request, mine):
            return False
        if claim is not None and claim.data["executor"] != self.name:
            age = (now() - datetime.fromisoformat(str(claim.data["at"]))).total_seconds()
            if age < self.claim_seconds:
                return False
            if not claim.data.get("ends"):
                words = f"the executor {claim.data['executor']} began to execute it, and its case was altered since"
                outcome = Outcome(State.IN_DOUBT, words, str(held["digest"]), self.name, _at())
        self._record(request, outcome)
        self._close(request, held)
        return True

    def _record(self, request: str, outcome: Outcome) -> None:
        ours = self.store.create_outcome(request, outcome)
        logger.info("request.ended", request=request, state=outcome.state.value, recorded=ours)

    def _close(self, request: str, held: Any) -> None:  # noqa: ANN401 - a held entry's data
        """End the request's own login, and so its credentials; answer the agent; then forget its tokens."""
        self.vault.revoke_self(str(held["login"]))
        self._answer(request, parse_case(str(held["case"]), str(held["digest"])).requester.entity)
        self.store.destroy_held(request, self.tool)

    def _answer(self, request: str, entity: str) -> None:
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


def check_inputs(action: GatedAction, inputs: Any) -> None:  # noqa: ANN401 - this is the check
    """Raise DraftError where `inputs` do not fit the action's schema; it says where, and never what was given."""
    try:
        Draft202012Validator(dict(action.inputs)).validate(inputs)
    except ValidationError as error:
        where = "/".join(map(str, error.absolute_path)) or "the inputs"
        raise DraftError(f"{where}: does not fit {error.validator} of the action's schema.") from None
    except SchemaError:
        raise DraftError("The action's schema is none.") from None


def hold_request(vault: Vault, gate: Gate, action: GatedAction, jwt: str, digest: str) -> dict[str, str]:
    """Ask for gated credentials by a login of this request's own; return `login`, `wrapping` and `accessor`.

    Raises NoGateError, and revokes the login with all that it got, where the server did not hold the request back.
    """
    mount = gate.executors[action.tool].mount
    own = vault.with_token("")
    auth = own.log_in(mount, action.login_role, jwt)
    answer = own.ask("get", action.path, query={"digest": digest})
    wrapped = answer.get("wrap_info") or {}
    if answer.get("data") is not None or not wrapped.get("accessor"):
        own.revoke_self()
        raise NoGateError(f"Vault gave {action.path} without any approval: its control group is not in force.")
    if int(auth.get("num_uses") or 0) != action.num_uses:
        own.revoke_self()
        raise NoGateError(f"The login {action.login_role} does not serve exactly {action.num_uses} requests.")
    return {"login": own.token, "wrapping": str(wrapped["token"]), "accessor": str(wrapped["accessor"])}


def _at() -> str:
    return now().isoformat()
