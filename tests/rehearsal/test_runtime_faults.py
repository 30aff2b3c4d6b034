"""When servers fail: nothing hangs, nothing is left behind, nothing that is over is given out, and all goes on later.

Whatever may take time runs in a thread that must answer within a bound far above every timeout of ours.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from faulty_network import Wire, open_wire

from narrowgate.runtime import (
    AgentError,
    ExpiredError,
    LoginRefusedError,
    ToolUnavailableError,
    VaultSealedError,
    VaultUnavailableError,
    login,
)
from rehearsal import bao, idp, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from narrowgate.runtime import Agent
    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"
BOUND_SECONDS = 60
SKEW_SECONDS = 300


def within_bound(*works: Callable[[], Any]) -> list[Any]:
    """Run `works` at once, each in a thread, and return what each returned or raised; a hang is a failure."""
    pool = ThreadPoolExecutor(len(works))
    try:
        futures = [pool.submit(work) for work in works]
        return [future.exception(BOUND_SECONDS) or future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def count_rows(agent: Agent) -> int:
    with agent.postgres("incidents") as connection:
        row = connection.execute("SELECT count(*) FROM incidents").fetchone()
    assert row is not None
    return int(row[0])


def count_logins(rehearsal: LiveRehearsal) -> int:
    with rehearsal.postgres() as connection:
        return connection.execute("SELECT FROM pg_roles WHERE rolcanlogin").rowcount


@pytest.fixture(autouse=True)
def nothing_is_left(rehearsal: LiveRehearsal) -> Iterator[None]:
    def count() -> int:
        return len(rehearsal.vault().list("auth/token/accessors")["data"]["keys"])

    def settle() -> tuple[int, int]:
        return count(), count_logins(rehearsal)

    operators = 2  # this fixture's own logins stay
    before = settle()
    yield
    deadline = time.monotonic() + BOUND_SECONDS
    while (now := settle()) and (now[0] > before[0] + operators or now[1] > before[1]):
        operators += 1
        assert time.monotonic() < deadline, (before, now)
        time.sleep(0.5)


@pytest.fixture
def wire(rehearsal: LiveRehearsal) -> Iterator[Wire]:
    with open_wire(rehearsal.port(bao.NAME)) as opened:
        yield opened


@pytest.fixture
def agent(rehearsal: LiveRehearsal, wire: Wire) -> Iterator[Agent]:
    """An agent that reaches Vault over the wire, and can have its token again."""
    manifest: dict[str, Any] = copy.deepcopy(json.loads(rehearsal.manifest(WORKFLOW).read_text(encoding="utf-8")))
    manifest["vault"]["address"] = f"https://127.0.0.1:{wire.port}"
    with login(manifest, lambda: rehearsal.token("alice", WORKFLOW)) as logged_in:
        yield logged_in
        wire.cut = wire.choked = False
        wire.delay = 0.0


def restart_vault(rehearsal: LiveRehearsal, wire: Wire) -> None:
    rehearsal.stop(bao.NAME)
    bao.start_bao(rehearsal.layout)
    wire.target = rehearsal.port(bao.NAME)


def test_vault_is_restarted(rehearsal: LiveRehearsal, agent: Agent, wire: Wire) -> None:
    before = count_rows(agent)
    rehearsal.stop(bao.NAME)
    try:
        assert count_rows(agent) == before  # the login in hand still serves
        (failed,) = within_bound(lambda: agent.credential("incidents"))
        assert isinstance(failed, VaultUnavailableError)
    finally:
        restart_vault(rehearsal, wire)
    assert within_bound(lambda: count_rows(agent), lambda: agent.credential("incidents").ttl_seconds)[0] == before
    assert agent.aws("logs").get_credentials() is not None


def test_vault_is_sealed(rehearsal: LiveRehearsal, agent: Agent, wire: Wire) -> None:
    session = agent.aws("logs").client("logs")
    rehearsal.vault().sys.seal()
    try:
        failed = within_bound(*[lambda: agent.credential("incidents")] * 4)
        assert {type(error) for error in failed} == {VaultSealedError}
        assert session.filter_log_events(logGroupName="/app/payments")["events"]
        (refused,) = within_bound(lambda: enter(rehearsal))
        assert isinstance(refused, VaultSealedError)
    finally:
        restart_vault(rehearsal, wire)
    assert agent.credential("incidents").seconds_left > 0


def enter(rehearsal: LiveRehearsal) -> None:
    with login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW)):
        pass


@pytest.mark.parametrize("fault", ["cut", "choked"])
def test_vault_is_unreachable_for_a_while(agent: Agent, wire: Wire, fault: str) -> None:
    before = count_rows(agent)
    setattr(wire, fault, True)
    if fault == "cut":
        wire.break_open()
    failed = within_bound(*[lambda: agent.credential("incidents")] * 8)
    assert {type(error) for error in failed} == {VaultUnavailableError}
    assert count_rows(agent) == before
    setattr(wire, fault, False)
    assert within_bound(lambda: agent.credential("incidents").seconds_left > 0) == [True]


@pytest.mark.long
def test_vault_is_unreachable_for_half_a_minute_while_agents_go_on_asking(agent: Agent, wire: Wire) -> None:
    before = count_rows(agent)

    def go_on() -> list[Any]:
        ends, seen = time.monotonic() + 45, []
        while time.monotonic() < ends:
            try:
                seen.append(count_rows(agent))
            except AgentError as error:
                seen.append(error)
        return seen

    pool = ThreadPoolExecutor(4)
    busy = [pool.submit(go_on) for _ in range(4)]
    wire.cut = True
    wire.break_open()
    time.sleep(30)
    wire.cut = False
    for future in busy:
        seen = future.result(BOUND_SECONDS)
        assert {item for item in seen if not isinstance(item, AgentError)} == {before}
        assert {type(item) for item in seen if isinstance(item, AgentError)} <= {VaultUnavailableError}
        assert seen[-1] == before
    pool.shutdown()


def test_a_handshake_that_breaks_off_is_tried_again(agent: Agent, wire: Wire) -> None:
    wire.cut = True
    wire.break_open()
    mend = threading.Timer(0.3, setattr, (wire, "cut", False))
    mend.start()
    (found,) = within_bound(lambda: agent.credential("incidents"))
    mend.join()
    assert found.lease_id


def test_a_vault_of_another_authority_gets_no_token(rehearsal: LiveRehearsal) -> None:
    manifest = json.loads(rehearsal.manifest(WORKFLOW).read_text(encoding="utf-8"))
    manifest["vault"]["ca_pem"] = Path(requests.certs.where()).read_text(encoding="ascii")
    token = rehearsal.token("alice", WORKFLOW)
    with pytest.raises(VaultUnavailableError, match="not signed by the manifest's CA"), login(manifest, token):
        pass


def test_vault_is_slow(agent: Agent, wire: Wire) -> None:
    wire.delay = 0.5
    asked = within_bound(*[lambda: agent.credential("incidents").seconds_left] * 4, lambda: count_rows(agent))
    assert [answer for answer in asked if isinstance(answer, Exception)] == []


def test_a_lease_is_revoked_behind_the_client(rehearsal: LiveRehearsal, agent: Agent) -> None:
    before = count_rows(agent)
    _, held = agent.database_login("incidents")
    rehearsal.vault().sys.revoke_prefix(f"narrowgate-database/creds/{WORKFLOW}.incidents")
    assert within_bound(*[lambda: count_rows(agent)] * 4) == [before] * 4
    _, new = agent.database_login("incidents")
    assert new.lease_id != held.lease_id


def test_all_tokens_are_revoked_behind_the_client(rehearsal: LiveRehearsal, agent: Agent) -> None:
    before = count_rows(agent)
    rehearsal.vault().sys.revoke_prefix(f"auth/agents/{WORKFLOW}")
    asked = within_bound(*[lambda: agent.credential("logs").seconds_left > 0] * 8)
    assert asked == [True] * 8
    assert count_rows(agent) == before


@pytest.mark.parametrize("seconds", [SKEW_SECONDS, -SKEW_SECONDS])
def test_the_identity_providers_clock_is_wrong(rehearsal: LiveRehearsal, seconds: int) -> None:
    now = int(time.time()) + seconds
    token = idp.sign_token(
        rehearsal.layout, idp.look_up("alice", None, WORKFLOW), iat=now, nbf=now, exp=now + SKEW_SECONDS - 60
    )
    kind = LoginRefusedError if seconds > 0 else ExpiredError
    with pytest.raises(kind) as caught, login(rehearsal.manifest(WORKFLOW), token):
        pytest.fail("it logged in")
    assert "clock" in (caught.value.hint or "") if seconds > 0 else "expired" in str(caught.value)


@pytest.mark.parametrize("seconds", [SKEW_SECONDS, -SKEW_SECONDS])
def test_this_machines_clock_is_set_while_the_agent_runs(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """What was fetched is neither taken for over nor for fresh: lives are measured by a clock that nobody sets."""
    keys = agent.aws("logs").get_credentials()
    _, held = agent.database_login("incidents")
    first, left = keys.get_frozen_credentials(), held.seconds_left
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    assert keys.get_frozen_credentials() == first
    assert agent.database_login("incidents")[1] is held
    assert held.seconds_left <= left


class Body:
    """The body of an answer of AWS, as botocore reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield b'{"__type": "ThrottlingException"}'


def test_aws_throttles(agent: Agent) -> None:
    client = agent.aws("logs").client("logs")
    throttled: list[int] = []

    def throttle(request: Any, **_: Any) -> AWSResponse | None:  # noqa: ANN401 - botocore's own
        if len(throttled) >= limit:
            return None
        throttled.append(1)
        return AWSResponse(request.url, 400, {"x-amzn-errortype": "ThrottlingException"}, Body())

    client.meta.events.register("before-send.cloudwatch-logs.*", throttle)
    limit = 2
    assert client.filter_log_events(logGroupName="/app/payments")["events"]
    assert len(throttled) == 2
    limit = 100
    (failed,) = within_bound(lambda: client.filter_log_events(logGroupName="/app/payments"))
    assert isinstance(failed, ClientError)
    assert len(throttled) == 2 + 3


def test_postgresql_is_restarted(rehearsal: LiveRehearsal, agent: Agent) -> None:
    before, logins = count_rows(agent), count_logins(rehearsal)
    rehearsal.stop(postgres.NAME)
    try:
        failed = within_bound(*[lambda: count_rows(agent)] * 4)
        assert {type(error) for error in failed} == {ToolUnavailableError}
    finally:
        postgres.start_postgres(rehearsal.layout)
    assert within_bound(*[lambda: count_rows(agent)] * 4) == [before] * 4
    assert count_logins(rehearsal) == logins  # an outage makes no new logins
