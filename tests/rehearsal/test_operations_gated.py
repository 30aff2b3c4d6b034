"""A revocation ends what executors hold for a workflow, by the operator's own rights, whether or not one of them looks.

The executor is a process that stands still while the operator works: what is dead then, died without it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from executor_process import serving, wait_for_case, wait_for_end
from gate_bench import REVOCATIONS, WORKFLOW
from hvac.exceptions import VaultError
from operator_login import operator_process

from narrowgate.approvals import VaultRefusedError
from narrowgate.approvals.errors import BadRequestError
from narrowgate.approvals.executor import Executor
from narrowgate.runtime import LoginRefusedError, login
from rehearsal import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench

OTHER = "incident-summarization"
PLAIN = ("--non-interactive", "--color", "never", "--yes", "--skip-preview")


def narrowgate(bench: GateBench, *words: str) -> dict[str, Any]:
    """Run one command as the operator, who does not know the gate; return what it reported."""
    environment = operator_process(bench.live)
    environment.pop("NARROWGATE_GATE", None)
    command = [str(bench.live.layout.venv / "bin" / "narrowgate"), *words, "--format", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def restored(bench: GateBench) -> Iterator[GateBench]:
    """Give the gate; afterwards nothing is revoked, and everything stands as declared."""
    yield bench
    held = bench.root.read(f"{REVOCATIONS}/data/{WORKFLOW}")
    if held and held["data"]["data"]["whole"]:
        narrowgate(bench, "restore", WORKFLOW, "--yes")
        bench.live.run("pulumi", "up", *PLAIN)
    bench.root.delete(f"{REVOCATIONS}/metadata/{WORKFLOW}")


def propose_close(bench: GateBench) -> str:
    """Have the other workflow's agent propose to close an incident that does not end here; return the request."""
    with bench.live.postgres(postgres.SUPERUSER) as connection:
        row = connection.execute("SELECT max(id) FROM incidents WHERE tenant = 'emea' AND status = 'open'").fetchone()
    assert row is not None
    with login(bench.live.manifest(OTHER), bench.sign("alice", OTHER, "on-call", workflow=OTHER)) as agent:
        inputs = {"incident": row[0], "resolution": "Rolled back."}
        return agent.propose("incidents.close", inputs=inputs, rationale="No error for two hours.")


def other_executor(bench: GateBench) -> Executor:
    source = lambda: bench.sign("executor:incidents", "executors:incidents")  # noqa: E731 - read at each login
    return Executor(bench.gate, "incidents", source, verify=bench.verify)


def unwrap(bench: GateBench, held: dict[str, str]) -> dict[str, Any]:
    """Take what was held, as whoever stole an executor's tokens would."""
    return dict(bench.connect().ask("post", "sys/wrapping/unwrap", {}, token=held["wrapping"])["data"])


def connect(bench: GateBench, taken: dict[str, Any]) -> psycopg.Connection[Any]:
    action = next(each for each in bench.gate.actions if each.login_role == f"gated.{WORKFLOW}.vendors.create")
    about = action.connection
    return psycopg.connect(
        host=about["host"],
        port=about["port"],
        dbname=about["database"],
        user=taken["username"],
        password=taken["password"],
        autocommit=True,
    )


def is_dead(bench: GateBench, token: str) -> bool:
    try:
        bench.root.write_data("auth/token/lookup", data={"token": token})
    except VaultError:
        return True
    return False


def ends(connection: psycopg.Connection[Any]) -> bool:
    for _ in range(100):
        try:
            connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return True
        time.sleep(0.1)
    return False


def test_what_an_executor_holds_for_a_revoked_workflow_is_dead_at_once(restored: GateBench, tmp_path: Path) -> None:
    bench, closer = restored, other_executor(restored)
    others = propose_close(bench)
    closer.work()
    with serving(bench, tmp_path) as (service,):
        service.wait_for("executor.serving")
        taken, approved, pending = (bench.draft(name) for name in ("Taken Oy", "Approved Oy", "Pending Oy"))
        for request in (taken, approved, pending):
            wait_for_case(bench, request)
        service.process.send_signal(signal.SIGSTOP)
        for request in (taken, approved):
            bench.approve("ann", request)
        held = [bench.held(request) for request in (taken, approved, pending)]
        stolen = connect(bench, unwrap(bench, held[0]))
        stolen.execute("SELECT 1")
        tokens = [each["login"] for each in held] + [each["wrapping"] for each in held[1:]]
        assert not any(is_dead(bench, token) for token in tokens)

        answer = narrowgate(bench, "revoke", WORKFLOW, "--reason", "a drill", "--yes")
        assert answer["held"], answer
        assert [words for words in answer["lasting"] if words.startswith("documents.delete: a session of AWS")]
        assert [words for words in answer["lasting"] if words.startswith("payments.refund: a signed token that")]
        details = {step["name"]: step["detail"] for step in answer["steps"]}
        assert int(details["logins of held requests"].partition(" ")[0]) >= len(tokens)
        with pytest.raises((BadRequestError, VaultRefusedError)):
            unwrap(bench, held[1])
        assert all(is_dead(bench, token) for token in tokens)
        assert ends(stolen)
        stolen.close()
        assert bench.logins() == []
        with pytest.raises(LoginRefusedError), login(bench.live.manifest(WORKFLOW), bench.agent_token()):
            pass

        with bench.approver("carl") as carl:  # another workflow's request goes on
            view = carl.read_case(others)
            carl.approve(others, digest=view.digest, reason="Seen.", seen_at=view.read_at)
        closer.work()
        assert bench.record(others)["state"] == "executed"

        service.process.send_signal(signal.SIGCONT)
        ended = {(record["state"], record["words"]) for record in (wait_for_end(bench, r) for r in (taken, approved))}
        assert ended == {("stopped", "an operator revoked the workflow")}
        assert wait_for_end(bench, pending)["state"] == "stopped"
        assert [bench.vendors(name) for name in ("Taken Oy", "Approved Oy", "Pending Oy")] == [[], [], []]

        narrowgate(bench, "restore", WORKFLOW, "--yes")
        bench.live.run("pulumi", "up", *PLAIN)
        anew = bench.draft("Anew Oy")
        wait_for_case(bench, anew)
        bench.approve("ann", anew)
        assert wait_for_end(bench, anew)["state"] == "executed"
        assert service.stop() == 0
    assert bench.vendors("Anew Oy") == [("FI", "active")]
