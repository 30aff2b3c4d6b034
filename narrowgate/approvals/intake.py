"""What makes a case of a draft: checks it, reads its target, and has Vault hold the request for its credentials.

What is no draft is refused, for the record. A draft whose answer stands has ended, and is not looked at again. This
module must not carry anything out, nor judge what people decided.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from narrowgate.approvals.canonical import digest_value
from narrowgate.approvals.case import Case, Draft, Hold, Outcome, State, now, parse_case, parse_draft
from narrowgate.approvals.errors import DraftError, NoGateError, NotFoundError
from narrowgate.approvals.people import read_person
from narrowgate.runtime.proposals import make_request_id

if TYPE_CHECKING:
    from collections.abc import Collection

    from narrowgate.approvals.executor import Executor
    from narrowgate.approvals.settings import Gate, GatedAction
    from narrowgate.approvals.vault import Entry, Vault

logger = structlog.get_logger("narrowgate.approvals")


class Intake:
    """The drafts of one executor's tool. It remembers which of them need nothing more."""

    def __init__(self, executor: Executor) -> None:
        self._executor, self._store = executor, executor.store
        self._known: set[tuple[str, str, str]] = set()

    def find(self, workflow: str, opened: Collection[str]) -> list[tuple[str, str]]:
        """Return (entity, draft) of the drafts to look at: neither `opened`, nor ended and answered."""
        new: dict[str, list[str]] = {}
        for entity, draft in self._store.list_drafts(workflow, self._executor.tool):
            if (workflow, entity, draft) not in self._known:
                new.setdefault(entity, []).append(draft)
        found = []
        for entity, drafts in new.items():
            answered = self._store.list_answered(workflow, entity)
            for draft in drafts:
                request = make_request_id(workflow, entity, draft)
                if request in opened or request in answered:
                    self._known.add((workflow, entity, draft))
                else:
                    found.append((entity, draft))
        return found

    def receive(self, workflow: str, entity: str, draft: str) -> bool:
        """Make a case of a draft that has none; refuse, for the record, one that cannot be one."""
        request = make_request_id(workflow, entity, draft)
        if self._is_known(request):
            self._executor.answer(request, entity)  # a crash may have come between the outcome and the answer
            self._known.add((workflow, entity, draft))
            return False
        entry = self._store.read_draft(workflow, entity, draft)
        if entry is None:
            return False
        try:
            action, parsed = self._check_draft(workflow, draft, entry)
            case = self._make_case(action, parsed, (entity, draft), entry)
        except DraftError as error:
            if not self._refuse(request, entity, str(error), entry):
                return False
        else:
            self._hold(action, case)
        self._known.add((workflow, entity, draft))
        return True

    def _refuse(self, request: str, entity: str, words: str, entry: Entry) -> bool:
        """Say that a draft is refused, unless another replica took it for a good one meanwhile."""
        name = self._executor.name
        outcome = Outcome(State.REFUSED, words, digest_value(dict(entry.data)), name, now().isoformat())
        if not self._store.take_end(request, name, self._executor.claim_seconds, outcome):
            return False
        self._executor.record(request, outcome)
        self._executor.answer(request, entity)
        return True

    def _is_known(self, request: str) -> bool:
        if self._store.read_held(request, self._executor.tool) is not None:
            return True
        if self._store.read_outcome(request) is not None:
            return True
        try:
            self._store.read_case(request)
        except NotFoundError:
            return False
        return True

    def _check_draft(self, workflow: str, key: str, entry: Entry) -> tuple[GatedAction, Draft]:
        if entry.version != 1:
            raise DraftError(f"The draft was written {entry.version} times.")
        draft = parse_draft(entry.data)
        action = self._executor.gate.find(workflow, draft.action)
        if action is None or not key.startswith(f"{draft.action}."):
            raise DraftError("The draft names no gated action of its workflow, or not the one of its path.")
        check_inputs(action, draft.inputs)
        drafted = datetime.fromisoformat(entry.created)
        if now() >= drafted + timedelta(seconds=action.expires_seconds):
            raise DraftError("The draft is older than an approval may take.")
        return action, draft

    def _make_case(self, action: GatedAction, draft: Draft, place: tuple[str, str], entry: Entry) -> Case:
        entity, key = place
        requester = read_person(self._executor.vault, entity, action.requester_mount, groups=False)
        if requester is None:
            raise DraftError("The draft's author is no login of its workflow.")
        if words := self._store.tell_revocation(action.workflow, requester.name):
            raise DraftError(f"It is not taken up: {words}.")
        plan = self._executor.plan(action, draft.inputs)
        created = now()
        return Case(
            request=make_request_id(action.workflow, entity, key),
            environment=self._executor.gate.environment,
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

    def _hold(self, action: GatedAction, case: Case) -> None:
        """Ask Vault for the gated credentials by a login of this request's own, and keep what it holds."""
        held = hold_request(self._executor.vault, self._executor.gate, action, self._executor.read_token(), case.digest)
        data = {**held, "case": case.text, "digest": case.digest, "path": action.path}
        if not self._store.create_held(case.request, self._executor.tool, data):
            self._executor.vault.revoke_self(held["login"])  # another replica was first
            return
        self.publish(data)
        logger.info("case.made", request=case.request, action=case.name, digest=case.digest)
        if self._executor.announce is not None:
            self._executor.announce(case)

    def publish(self, held: Any) -> None:  # noqa: ANN401 - a held entry's data
        """Write the case of a held request, once."""
        case = parse_case(str(held["case"]), str(held["digest"]))
        self._store.create_case(case, Hold(str(held["accessor"]), str(held["path"])))


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
    with vault.with_token("") as own:
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
