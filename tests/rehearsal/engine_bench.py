"""The real engine with servers of its own: a project folder to write a program into, and `pulumi` to run on it.

Not a test module: what the tests of the engine, its host and the doubles share.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import hvac
import requests

from rehearsal.engine import ensure_engine
from rehearsal.pulumi_home import pulumi_environment, write_pulumi_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ACCOUNT = "111111111111"
REGION = "eu-central-1"
ROOT_TOKEN = "root"
VENV = Path(sys.executable).parent.parent
START_SECONDS = 60.0
PREFIXES = ("PULUMI_", "AWS_", "VAULT_", "BAO_")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}


def clean_environment() -> dict[str, str]:
    """Return our environment without what would reach the engine, the emulator or Vault."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], environment: Mapping[str, str], log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """Run a server until the block ends."""
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=dict(environment), stdout=output, stderr=output, cwd=log.parent) as process,
    ):
        try:
            until = time.monotonic() + START_SECONDS
            while not ready():
                if process.poll() is not None or time.monotonic() > until:
                    raise TimeoutError(f"{command[0]} did not start: {log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait(20)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


@contextlib.contextmanager
def open_aws(folder: Path) -> Iterator[str]:
    """Run the AWS emulator, enforcing, and yield its address."""
    port = free_port()
    settings = {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "HOME": str(folder),
    }
    command = [str(VENV / "bin" / "ministack")]
    url = f"http://127.0.0.1:{port}"
    with running(
        command, clean_environment() | settings, folder / "aws.log", lambda: answers(f"{url}/_ministack/health")
    ):
        yield url


@contextlib.contextmanager
def open_vault(folder: Path, plugins: Path | None = None) -> Iterator[str]:
    """Run OpenBao in memory and yield its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(VENV / "bin" / "bao"), "server", "-dev", f"-dev-root-token-id={ROOT_TOKEN}"]
    command += [f"-dev-listen-address=127.0.0.1:{port}", "-dev-no-store-token"]
    if plugins is not None:
        command.append(f"-dev-plugin-dir={plugins}")
    with running(command, clean_environment(), folder / "vault.log", lambda: answers(f"{url}/v1/sys/health")):
        yield url


@dataclass
class EngineBench:
    """An engine home, a backend and the addresses of the servers; `project` makes one program's folder in it."""

    folder: Path
    aws_url: str = "http://127.0.0.1:9"
    vault_url: str = "http://127.0.0.1:9"
    engine: Path = field(init=False)
    engine_version: str = field(init=False)
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        found = ensure_engine(print)
        self.engine, self.engine_version = found.path, found.version
        home = write_pulumi_home(self.folder / "pulumi", python=Path(sys.executable), engine_version=found.version)
        (self.folder / "state").mkdir()
        (self.folder / "home").mkdir()
        passphrase = self.folder / "passphrase"
        passphrase.write_text("of a state that lives as long as one test")
        self.environment = {
            **clean_environment(),
            **pulumi_environment(home, state=self.folder / "state", passphrase_file=passphrase),
            "HOME": str(self.folder / "home"),
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": REGION,
            "VAULT_ADDR": self.vault_url,
            "VAULT_TOKEN": ROOT_TOKEN,
        }

    def project(self, name: str, program: str, *, settings: str = "") -> Project:
        """Make a project with one stack; its program lies outside the project's folder, as in the rehearsal."""
        project = Project(self, name, self.folder / name, self.folder / f"{name}-program")
        project.folder.mkdir()
        project.program.mkdir()
        (project.folder / "Pulumi.yaml").write_text(
            f"name: {name}\nmain: {project.program}\nstackConfigDir: .\n"
            f"runtime:\n  name: python\n  options:\n    virtualenv: {VENV}\n{settings}"
        )
        project.write(program)
        project.pulumi("stack", "init", "dev")
        return project

    def iam(self) -> Any:  # noqa: ANN401 -- boto3 makes its clients at run time
        return boto3.client(
            "iam",
            endpoint_url=self.aws_url,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="any",
        )

    def vault(self) -> hvac.Client:
        return hvac.Client(url=self.vault_url, token=ROOT_TOKEN)


@dataclass
class Project:
    bench: EngineBench
    name: str
    folder: Path
    program: Path

    def write(self, program: str) -> None:
        """Replace the program; `trust` is a trust policy that it may use."""
        head = f"import json\nimport pulumi\ntrust = json.dumps({TRUST!r})\n"
        (self.program / "__main__.py").write_text(head + textwrap.dedent(program))

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """Return the command and the environment of a plain `pulumi`, which runs from anywhere."""
        chosen = {"PULUMI_OPTION_CWD": str(self.folder), "PULUMI_STACK": "dev"}
        return [str(self.bench.engine), *arguments, "--non-interactive"], {**self.bench.environment, **chosen}

    def pulumi(self, *arguments: str, fails: bool = False, **variables: str) -> str:
        """Run `pulumi`, whose exit status must be as `fails` says, and return all that it printed."""
        command, environment = self.command(*arguments)
        done = subprocess.run(
            command, env=environment | variables, cwd="/", capture_output=True, text=True, timeout=180, check=False
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, output
        return output

    def up(self, *options: str, **variables: str) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", "--color=never", *options, **variables)

    def adopt(self, token: str, name: str, resource_id: str) -> str:
        """Import an existing resource into the stack."""
        options = ("--yes", "--generate-code=false", "--protect=false", "--color=never")
        return self.pulumi("import", token, name, resource_id, *options)

    def state_text(self) -> str:
        """Return the stack's state as it lies on disk."""
        return (self.bench.folder / "state" / ".pulumi" / "stacks" / self.name / "dev.json").read_text()

    def resource(self, name: str) -> dict[str, Any]:
        """Return a resource of the state, its secrets decrypted."""
        resources = json.loads(self.pulumi("stack", "export", "--show-secrets"))["deployment"]["resources"]
        found: dict[str, Any] = next(r for r in resources if r["urn"].endswith(f"::{name}"))
        return found
