"""Whatever dies or forgets, `up` again makes the whole system work: an agent gets credentials, and those are used."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import psycopg
import pytest
from botocore.config import Config
from rich.console import Console

from rehearsal import aws, bao, openid, postgres, stack
from rehearsal.errors import RehearsalError
from rehearsal.operator_environment import HEALTH
from rehearsal.processes import find_all
from rehearsal.progress import Progress
from rehearsal.state import read_state
from rehearsal.steps import list_steps, run_steps, stop_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"
DEPLOYED = (postgres.NAME, openid.NAME)  # what is deployed names their ports


def bring_up(rehearsal: LiveRehearsal) -> str:
    """Run `up` and return what it said."""
    said = io.StringIO()
    run_steps(rehearsal.layout, Progress(Console(file=said, width=300)), list_steps([rehearsal.layout]))
    return said.getvalue()


def read_manifest(rehearsal: LiveRehearsal) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(rehearsal.manifest(WORKFLOW).read_text())
    return manifest


def log_in(rehearsal: LiveRehearsal) -> str:
    """Log the agent in by plain `bao`, and return its token."""
    login = read_manifest(rehearsal)["login"]
    jwt = rehearsal.token("alice", WORKFLOW)
    command = ["write", "-field=token", f"auth/{login['mount']}/login", f"role={login['role']}", f"jwt={jwt}"]
    return rehearsal.run("bao", *command).stdout.strip()


def prove_that_an_agent_works(rehearsal: LiveRehearsal) -> None:
    tools = read_manifest(rehearsal)["tools"]
    vault = rehearsal.vault(log_in(rehearsal))
    made = vault.read(tools["documents"]["path"])["data"]
    session = boto3.Session(
        made["access_key"], made["secret_key"], made["security_token"], region_name=rehearsal.region
    )
    s3 = session.client("s3", endpoint_url=aws.get_endpoint(rehearsal.layout), config=Config(proxies={}))
    assert s3.get_object(Bucket="acme-dev-documents", Key="runbooks/refund-queue.md")["Body"].read()
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.get_object(Bucket="acme-dev-documents", Key="finance/payroll-2026-11.csv")
    login = vault.read(tools["incidents"]["path"])["data"]
    place = tools["incidents"]["connection"]
    with psycopg.connect(
        host=place["host"],
        port=place["port"],
        dbname=place["database"],
        user=login["username"],
        password=login["password"],
        sslmode=place["sslmode"],
    ) as connection:
        assert connection.execute("SELECT DISTINCT tenant FROM incidents").fetchall() == [("emea",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT customer_email FROM incidents")
    vault.auth.token.revoke_self()


def test_plain_clients_work_with_nothing_but_env(rehearsal: LiveRehearsal) -> None:
    prove_that_an_agent_works(rehearsal)
    assert "narrowgate-dev" in rehearsal.run("pulumi", "stack").stdout
    assert rehearsal.account in rehearsal.run("aws", "sts", "get-caller-identity").stdout
    assert "deployer" in rehearsal.run("psql", "-Atc", "SELECT current_user").stdout
    assert "sealed" in rehearsal.run("vault", "status", "-format=json").stdout.lower()


def test_env_is_for_a_shell_in_any_folder(rehearsal: LiveRehearsal) -> None:
    script = f'eval "$({rehearsal.layout.venv}/bin/narrowgate rehearsal env)" && pulumi stack --show-name'
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=rehearsal.layout.checkout / "docs" if (rehearsal.layout.checkout / "docs").is_dir() else "/",
        env={"PATH": "/usr/bin:/bin", "NARROWGATE_REHEARSAL_DIR": str(rehearsal.layout.root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "dev"), done.stderr


def test_second_run_changes_nothing(rehearsal: LiveRehearsal) -> None:
    before = [rehearsal.process(name) for name in HEALTH]
    said = bring_up(rehearsal)
    assert said.count("nothing to change") == 2
    assert [rehearsal.process(name) for name in HEALTH] == before


def test_killed_servers_are_started_again(rehearsal: LiveRehearsal) -> None:
    for name in HEALTH:
        process = rehearsal.process(name)
        assert process is not None
        process.kill()
        process.wait(10)
    assert (
        subprocess.run(
            [f"{rehearsal.layout.venv}/bin/narrowgate", "rehearsal", "env"],
            env={"PATH": "/usr/bin:/bin", "NARROWGATE_REHEARSAL_DIR": str(rehearsal.layout.root)},
            capture_output=True,
            check=False,
            timeout=60,
        ).returncode
        == 1
    )
    said = bring_up(rehearsal)
    assert said.count("started") == len(HEALTH)
    prove_that_an_agent_works(rehearsal)


def test_emulator_that_forgot_everything_is_healed(rehearsal: LiveRehearsal) -> None:
    rehearsal.stop(aws.NAME)
    shutil.rmtree(rehearsal.layout.aws / "state")
    shutil.rmtree(rehearsal.layout.aws / "objects")
    said = bring_up(rehearsal)
    assert "seeded" in said
    prove_that_an_agent_works(rehearsal)


def test_lock_of_a_killed_engine_is_released(rehearsal: LiveRehearsal) -> None:
    layout = rehearsal.layout
    folder = layout.pulumi_state / ".pulumi" / "locks" / "organization" / stack.PROJECT / layout.stack
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    lock = {"pid": int(done.stdout), "username": "me", "hostname": "here", "timestamp": "2026-11-24T00:00:00Z"}
    (folder / "11111111-2222-3333-4444-555555555555.json").write_text(json.dumps(lock))
    bring_up(rehearsal)
    assert list(folder.glob("*.json")) == []


@pytest.mark.long
def test_vault_that_forgot_everything_is_healed(rehearsal: LiveRehearsal) -> None:
    rehearsal.stop(bao.NAME)
    shutil.rmtree(rehearsal.layout.bao / "data")
    said = bring_up(rehearsal)
    assert "initialised" in said
    prove_that_an_agent_works(rehearsal)


@pytest.mark.long
def test_database_that_forgot_everything_is_healed(rehearsal: LiveRehearsal) -> None:
    rehearsal.stop(postgres.NAME)
    shutil.rmtree(rehearsal.layout.postgres / "data")
    (rehearsal.layout.postgres / "launcher").unlink()
    bring_up(rehearsal)
    prove_that_an_agent_works(rehearsal)


@contextmanager
def take(*ports: int) -> Iterator[None]:
    """Listen on `ports`, as another program would."""
    with ExitStack() as stack_of_sockets:
        for port in ports:
            other = stack_of_sockets.enter_context(socket.socket())
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
        yield


@pytest.mark.long
def test_ports_that_other_programs_took_are_changed_everywhere(rehearsal: LiveRehearsal) -> None:
    old = read_state(rehearsal.layout).ports
    taken = {name: port for name, port in old.items() if not name.endswith(DEPLOYED)}
    stop_all(rehearsal.layout)
    with take(*taken.values()):
        bring_up(rehearsal)
    assert not set(taken.values()) & set(read_state(rehearsal.layout).ports.values())
    prove_that_an_agent_works(rehearsal)


@pytest.mark.parametrize("server", DEPLOYED)
def test_deployed_port_that_another_program_took_is_told_with_a_way_out(rehearsal: LiveRehearsal, server: str) -> None:
    port = rehearsal.port(server)
    rehearsal.stop(server)
    with take(port), pytest.raises(RehearsalError, match=f"port {port}") as caught:
        bring_up(rehearsal)
    assert caught.value.hint is not None
    assert "reset" in caught.value.hint
    assert "started" in bring_up(rehearsal)


def test_down_leaves_no_process(rehearsal: LiveRehearsal) -> None:
    assert len(find_all(rehearsal.layout)) >= len(HEALTH)
    done = subprocess.run(
        [f"{rehearsal.layout.venv}/bin/narrowgate", "rehearsal", "down"],
        env={"PATH": "/usr/bin:/bin", "NARROWGATE_REHEARSAL_DIR": str(rehearsal.layout.root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert find_all(rehearsal.layout) == []
    bring_up(rehearsal)
    prove_that_an_agent_works(rehearsal)
