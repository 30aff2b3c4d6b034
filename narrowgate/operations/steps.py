"""A revocation as an ordered list of steps: what each would do, doing it, and looking whether it holds.

The record comes first, so that no deploy opens the login again; then no new login, no token, no lease, no session.
Each step may be repeated. This module must not print anything.
"""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from narrowgate.operations.entities import UserEntity
from narrowgate.operations.errors import OperationError, VaultRefusedError
from narrowgate.operations.record import Revocation, RevocationRecords
from narrowgate.operations.sessions import RoleSessions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from narrowgate.approvals.settings import Gate
    from narrowgate.operations.target import Target
    from narrowgate.operations.vault import VaultOperator

AT_ONCE: Final = 8
VERIFY_SECONDS: Final = 30.0
"""Vault revokes a token's leases in the background; how long to look until they are gone."""
POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its `name`, what it would do now (`preview`), `apply`, and `verify`, which tells what does not hold."""

    name: str
    preview: Callable[[], str]
    apply: Callable[[], str]
    verify: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of a step: `held` where it was seen to hold, and `detail` in words."""

    name: str
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Operator:
    """Who carries steps out: the Vault connection, boto3's iam client (None without AWS tools), a name, the gate."""

    vault: VaultOperator
    iam: Any
    name: str
    gate: Gate | None = None


def list_revocation_steps(target: Target, operator: Operator, reason: str) -> list[Step]:
    """Return the steps that take a workflow's access away, or one user's of it, in the order to do them."""
    recorded = [_record(target, operator, reason)]
    held = [stop_requests(operator, target)] if target.gated and operator.gate is not None else []
    cuts = [_cut(operator, role.name, role.session_name) for role in target.roles]
    if target.user is not None:
        entity = UserEntity(operator.vault, target.auth_mount, target.user)
        return [*recorded, _disable(entity), _revoke_tokens_of(entity), *cuts, *held]
    # Once no token lives, no session is issued any more: then cutting them comes first, since leases take seconds.
    tokens = _revoke_prefix(operator.vault, target.login_path)
    gated = [_revoke_request_logins(operator.vault, target)] if target.gated else []
    paths = (*(each.path for each in target.gated if each.leased), *target.lease_paths)
    leases = [_revoke_prefix(operator.vault, path) for path in paths]
    return [*recorded, _refuse_logins(target, operator), tokens, *gated, *cuts, *leases, *held]


def run_step(step: Step) -> StepResult:
    """Do one step and look whether it holds; a failure is a result, so that the steps after it are tried too."""
    try:
        detail = step.apply()
        wrong = step.verify()
    except OperationError as error:
        return StepResult(step.name, held=False, detail=str(error))
    return StepResult(step.name, held=wrong is None, detail=wrong or detail)


def preview_step(step: Step) -> StepResult:
    """Return what a step would do; nothing is changed."""
    try:
        return StepResult(step.name, held=True, detail=step.preview())
    except OperationError as error:
        return StepResult(step.name, held=False, detail=str(error))


def _record(target: Target, operator: Operator, reason: str) -> Step:
    records = RevocationRecords(operator.vault, target.records)

    def is_recorded() -> bool:
        held, _ = records.read(target.workflow)
        return held.whole is not None if target.user is None else target.user in held.users

    def apply() -> str:
        held, version = records.read(target.workflow)
        if is_recorded():
            return "it is on record already"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        records.write(held.revoke(target.user, Revocation(reason, operator.name, now)), version)
        return f"recorded at {target.records}/{target.workflow}: no deploy opens the login until `restore`"

    return Step(
        "record",
        lambda: "on record already" if is_recorded() else f"write {target.records}/{target.workflow}",
        apply,
        lambda: None if is_recorded() else "the record is not there",
    )


def _refuse_logins(target: Target, operator: Operator) -> Step:
    path = f"auth/{target.auth_mount}/role/{target.auth_role}"

    def apply() -> str:
        operator.vault.delete(path)
        return f"no login role on {target.auth_mount} any more"

    return Step(
        "logins",
        lambda: f"delete {path}",
        apply,
        lambda: None if operator.vault.read(path) is None else f"{path} is still there",
    )


def _revoke_prefix(vault: VaultOperator, path: str) -> Step:
    def count() -> int:
        return len(vault.list_keys(f"sys/leases/lookup/{path}/"))

    def apply() -> str:
        found = count()
        vault.write(f"sys/leases/revoke-prefix/{path}", sync=True)
        return f"{found} revoked"

    def verify() -> str | None:
        left = _wait_for_none(count)
        return None if left == 0 else f"{left} are still there after {VERIFY_SECONDS:.0f} s"

    return Step(f"leases of {path}", lambda: f"revoke {count()}", apply, verify)


def _wait_for_none(count: Callable[[], int]) -> int:
    deadline = time.monotonic() + VERIFY_SECONDS
    while (left := count()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return left


def _disable(entity: UserEntity) -> Step:
    def apply() -> str:
        found = entity.find()
        if found is None:
            return f"{entity.user} never logged in: a disabled entity {entity.make()} refuses the first login"
        entity.disable(str(found["id"]))
        return f"the entity {found['id']} is disabled: its tokens and logins are refused"

    def verify() -> str | None:
        found = entity.find()
        return None if found and found["disabled"] else f"the entity of {entity.user} is not disabled"

    return Step("logins", lambda: f"disable the entity of {entity.user} on {entity.mount}", apply, verify)


def _revoke_tokens_of(entity: UserEntity) -> Step:
    def find_accessors() -> list[str]:
        found = entity.find()
        if found is None:
            return []
        return _find_accessors(entity.vault, lambda token: token.get("entity_id") == found["id"])

    return _revoke_tokens(entity.vault, "tokens", find_accessors)


def _revoke_request_logins(vault: VaultOperator, target: Target) -> Step:
    """Return the step that ends what executors hold for a workflow, at once and whether or not one of them runs.

    All logins at the executors' mount are leases of one prefix: these are told by the policy that only they have. The
    wrapping token of a held request is told by the path that was asked for.
    """
    logins, paths = {each.login for each in target.gated}, {each.path for each in target.gated}

    def is_held(token: Mapping[str, Any]) -> bool:
        return token.get("path") in paths or not logins.isdisjoint(token.get("policies") or ())

    return _revoke_tokens(vault, "logins of held requests", lambda: _find_accessors(vault, is_held))


def _find_accessors(vault: VaultOperator, is_theirs: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    def check(accessor: str) -> str | None:
        try:
            held = vault.write("auth/token/lookup-accessor", accessor=accessor)
        except VaultRefusedError:
            return None  # it ended between the list and this question
        return accessor if held and is_theirs(held["data"]) else None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(check, vault.list_keys("auth/token/accessors/")))
    return [accessor for accessor in answers if accessor]


def _revoke_tokens(vault: VaultOperator, name: str, find_accessors: Callable[[], list[str]]) -> Step:
    def apply() -> str:
        accessors = find_accessors()
        for accessor in accessors:
            with contextlib.suppress(VaultRefusedError):  # it ended meanwhile; if it did not, `verify` finds it
                vault.write("auth/token/revoke-accessor", accessor=accessor)
        return f"{len(accessors)} revoked, and with them their leases"

    def verify() -> str | None:
        left = _wait_for_none(lambda: len(find_accessors()))
        return None if left == 0 else f"{left} are still there"

    return Step(name, lambda: f"revoke {len(find_accessors())}", apply, verify)


def _cut(operator: Operator, role: str, session_name: str | None) -> Step:
    sessions = RoleSessions(role, operator.iam)
    written: list[Any] = []
    whose = "all sessions" if session_name is None else f"the sessions {session_name}"

    def apply() -> str:
        written.append(sessions.cut(session_name, datetime.now(UTC)))
        return f"denied {whose} issued until now"

    def verify() -> str | None:
        return None if written and sessions.is_cut_as(written[-1]) else "the deny is not in place"

    return Step(f"sessions of {role}", lambda: f"deny {whose} issued until now", apply, verify)


def stop_requests(operator: Operator, target: Target) -> Step:
    """Return the step that sees the workflow's requests for gated actions ended.

    Executors end them by the record, as soon as they look, and none of them executes one while it stands. Which request
    is of which user only executors may read, so one user's are not waited for.
    """
    gate, vault = operator.gate, operator.vault

    def count() -> int:
        if gate is None:
            return 0
        places = [tool for workflow, tool in gate.places if workflow == target.workflow]
        return sum(len(vault.list_keys(f"{gate.mounts.held}/metadata/{target.workflow}/{tool}/")) for tool in places)

    def apply() -> str:
        if target.user is None:
            return f"{count()} waited for approval; executors have ended them"
        return f"executors end those of {target.user}, by the record"

    def verify() -> str | None:
        left = 0 if target.user is not None else _wait_for_none(count)
        return f"{left} still wait: does an executor run? While the record stands, none is executed" if left else None

    return Step("approvals", lambda: f"have executors end what waits for approval ({count()} requests)", apply, verify)
