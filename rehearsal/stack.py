"""The Pulumi project of an environment of the rehearsal, and its deploys by the real engine.

The committed stack files name an environment that nobody has; here they are copied with this machine's addresses over
them, into a project of its own whose program is the checkout's `stacks`. It must not decide what is deployed.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
from ruamel.yaml import YAML

from rehearsal import aws, bao, ci, ci_tokens, idp, openid, postgres
from rehearsal.engine import ENGINE_VERSION
from rehearsal.errors import RehearsalError
from rehearsal.operator_environment import deploy_environment
from rehearsal.processes import MARKER, tail
from rehearsal.pulumi_home import list_project_plugins, write_pulumi_home
from rehearsal.state import LOOPBACK, get_port, make_folder, read_secret, write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rehearsal.layout import EnvironmentLayout, Layout

PROJECT = "narrowgate"
ENVIRONMENT_KEY = "narrowgate:environment"
ENGINE_KEYS = ("encryptionsalt", "secretsprovider", "encryptedkey")
MANIFESTS_OUTPUT = "manifests"
GATE_OUTPUT = "gate"
DEPLOY_SECONDS = 900.0
# The program runs first: providers refresh at the addresses that hold now, not at those of the last deploy
REFRESH = ("--refresh", "--run-program")
QUIET = ("--non-interactive", "--color", "never", "--suppress-progress")
# A changed output is no change of a resource, which is all that the engine expects none of. Resources are told above.
OUTPUTS_HEAD = "\nOutputs:\n"
OUTPUT_CHANGE = re.compile(r"^ +[-+~] *\w+ *:", re.MULTILINE)
COUNT = re.compile(r"^\s+(?:[-+~]{1,3} ?)?(\d+ (?:created|updated|deleted|replaced|unchanged|changed))\b", re.MULTILINE)


class EngineError(RehearsalError):
    """`pulumi` ended with an error; its last words are the message."""

    code = "rehearsal-engine-failed"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What one deploy did, in the engine's own words: how many resources it created, changed, deleted or left alone."""

    stack: str
    summary: str


def write_project(layout: EnvironmentLayout) -> None:
    """Write the generated project: Pulumi.yaml and each stack's configuration. Keys that the engine added are kept."""
    make_folder(layout.project)
    project = {
        "name": PROJECT,
        "runtime": {"name": "python", "options": {"virtualenv": str(layout.venv)}},
        "main": str(layout.stacks),
        "stackConfigDir": ".",
        "plugins": list_project_plugins(layout.pulumi_home, ENGINE_VERSION),
    }
    _write_yaml(layout.project / "Pulumi.yaml", project)
    for stack in (layout.foundation_stack, layout.stack):
        _write_stack_file(layout, stack)


def _write_stack_file(layout: EnvironmentLayout, stack: str) -> None:
    """Write one stack's configuration: the committed one, overlaid by what is true on this machine."""
    name = f"Pulumi.{stack}.yaml"
    settings = _read_yaml(layout.stacks / name)
    environment = settings["config"].get(ENVIRONMENT_KEY)
    if isinstance(environment, dict):
        here = this_machine(layout, environment)
        overlay(environment, {key: value for key, value in here.items() if key in environment})
    with contextlib.suppress(FileNotFoundError):
        made = _read_yaml(layout.project / name)
        settings.update({key: made[key] for key in ENGINE_KEYS if key in made})
    _write_yaml(layout.project / name, settings)


def this_machine(layout: EnvironmentLayout, environment: dict[str, Any]) -> dict[str, Any]:
    """Return what differs here from the committed bindings of `environment`; None takes a key away."""
    database = {"host": LOOPBACK, "port": get_port(layout, layout.part(postgres.NAME)), "sslmode": "disable"}
    page = {
        "url": openid.get_page_address(layout),
        "client_id": openid.CLIENT,
        "discovery_url": openid.get_address(layout),
    }
    return {
        "approvals": {"page": page},
        "aws": {"endpoint_url": aws.get_endpoint(layout)},
        "vault": {"address": bao.get_address(layout), "ca_pem": layout.ca_certificate.read_text()},
        "deployer": {"jwks_url": None, "public_keys": [ci_tokens.read_public_key(layout)]},
        "identity": {"jwks_url": None, "public_keys": [idp.read_public_key(layout)]},
        "tools": {tool: database for tool, binding in environment.get("tools", {}).items() if "database" in binding},
    }


def overlay(target: dict[str, Any], over: dict[str, Any]) -> None:
    """Put `over` over `target`, mapping by mapping; None takes a key away."""
    for key, value in over.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            overlay(target.setdefault(key, {}), value)
        else:
            target[key] = value


def _read_yaml(file: Path) -> dict[str, Any]:
    settings: dict[str, Any] = YAML(typ="safe").load(file.read_text())
    return settings


def _write_yaml(file: Path, content: dict[str, Any]) -> None:
    text = io.StringIO()
    YAML(typ="safe").dump(content, text)
    if not file.exists() or file.read_text() != text.getvalue():
        write_private(file, text.getvalue())


def prepare_engine(layout: EnvironmentLayout) -> None:
    """Make the engine's isolated home, its file backend and the passphrase of the stacks' secrets."""
    write_pulumi_home(
        make_folder(layout.pulumi_home), python=layout.venv / "bin" / "python", engine_version=ENGINE_VERSION
    )
    make_folder(layout.pulumi_state)
    read_secret(layout.pulumi_passphrase)


def deploy(layout: EnvironmentLayout, stack: str, *, as_administrator: bool = False) -> Deployed:
    """Bring `stack` to what is declared: read what really exists, and change what differs, if anything does.

    With `as_administrator`, a stack that was deployed before is healed by the operator, whoever else deploys it.

    Raises:
        RehearsalError: the engine or the policy pack refused; the error holds its last words and the log's path.

    """
    heal = as_administrator and _exists(layout, stack)
    environment = deploy_environment(layout) if heal else choose_identity(layout, stack)
    _release_dead_lock(layout, stack, environment)
    if not _exists(layout, stack):
        run_engine(layout, ["stack", "init", stack], environment, stack)
    elif _is_current(layout, stack, environment):
        return Deployed(stack, "nothing to change")
    arguments = ["up", "--yes", *REFRESH, *QUIET, "--stack", stack]
    return Deployed(stack, summarize(run_engine(layout, arguments, environment, stack)))


def choose_identity(layout: EnvironmentLayout, stack: str) -> dict[str, str]:
    """Return the environment to deploy `stack` in: the operator's for a foundation, else CI's deployer's."""
    if stack == layout.foundation_stack:
        return deploy_environment(layout)
    return ci.job_environment(layout, ci.describe_ci(layout).deployer)


def _is_current(layout: EnvironmentLayout, stack: str, environment: dict[str, str]) -> bool:
    """Return whether what really exists is what is declared, by one pass of the program instead of a deploy's two."""
    arguments = ["preview", *REFRESH, "--expect-no-changes", *QUIET, "--stack", stack]
    try:
        said = run_engine(layout, arguments, environment, stack)
    except EngineError:
        return False  # If it was a mistake rather than a difference, the deploy that follows tells it
    return not changes_outputs(said)


def changes_outputs(said: str) -> bool:
    """Return whether the engine's text of a preview tells of an output that would change."""
    return OUTPUT_CHANGE.search(said.partition(OUTPUTS_HEAD)[2]) is not None


def _exists(layout: EnvironmentLayout, stack: str) -> bool:
    """Return whether the file backend knows `stack`."""
    return (layout.pulumi_state / ".pulumi" / "stacks" / PROJECT / f"{stack}.json").exists()


def run_engine(layout: EnvironmentLayout, arguments: Sequence[str], environment: dict[str, str], stack: str) -> str:
    """Run `pulumi` with `arguments`, add its output to the stack's log, and return it.

    Raises:
        EngineError: it ended with an error.
        RehearsalError: it cannot run, or did not end in time.

    """
    make_folder(layout.logs)
    log = layout.log(f"pulumi-{stack}")
    command = [str(layout.bin / "pulumi"), *arguments]
    try:
        done = subprocess.run(
            command,
            env={**environment, MARKER: str(layout.root)},
            cwd=layout.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOY_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RehearsalError(f"`pulumi {arguments[0]}` of {stack} did not end: {error}", log=log) from error
    with log.open("a") as file:
        file.write(f"$ pulumi {' '.join(arguments)}\n{done.stdout}{done.stderr}\n")
    if done.returncode != 0:
        reason = tail(log, lines=25)
        raise EngineError(f"`pulumi {arguments[0]}` of {stack} ended with {done.returncode}:\n{reason}", log=log)
    return done.stdout


def summarize(output: str) -> str:
    """Return the counts of resources that the engine's last summary names, as one line."""
    counts = COUNT.findall(output.rpartition("Resources:")[2])
    return ", ".join(counts) or "nothing to do"


def _release_dead_lock(layout: EnvironmentLayout, stack: str, environment: dict[str, str]) -> None:
    """Release the stack's lock when the engine that took it is dead; a living one keeps it, and the deploy fails."""
    folder = layout.pulumi_state / ".pulumi" / "locks" / "organization" / PROJECT / stack
    holders = [_read_holder(file) for file in folder.glob("*.json")]
    if holders and not any(_is_engine(pid) for pid in holders):
        run_engine(layout, ["cancel", "--yes", "--stack", stack], environment, stack)


def _read_holder(lock: Path) -> int:
    """Return the process id that a lock file names; -1 where it names none."""
    try:
        return int(json.loads(lock.read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1


def _is_engine(pid: int) -> bool:
    try:
        return psutil.Process(pid).name().startswith("pulumi")
    except (psutil.NoSuchProcess, ValueError):
        return False


def write_manifests(layout: EnvironmentLayout) -> list[str]:
    """Write each deployed workflow's manifest to a file of its own, take away those of removed ones, and name them.

    The gate's description is written beside them.

    Raises:
        RehearsalError: the engine failed, or exports no manifests.

    """
    environment = deploy_environment(layout)
    output = run_engine(layout, ["stack", "output", "--json", "--stack", layout.stack], environment, layout.stack)
    outputs: dict[str, Any] = json.loads(output)
    _write_gate(layout, outputs.get(GATE_OUTPUT))
    manifests: dict[str, Any] | None = outputs.get(MANIFESTS_OUTPUT)
    if manifests is None:
        log = layout.log(f"pulumi-{layout.stack}")
        raise RehearsalError(f"the stack {layout.stack} exports no {MANIFESTS_OUTPUT}", log=log)
    folder = make_folder(layout.manifests)
    for stale in {file.stem for file in folder.glob("*.json")} - manifests.keys():
        (folder / f"{stale}.json").unlink()
    for workflow, manifest in manifests.items():
        write_private(folder / f"{workflow}.json", json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return sorted(manifests)


def _write_gate(layout: EnvironmentLayout, gate: dict[str, Any] | None) -> None:
    if gate is None:
        layout.gate.unlink(missing_ok=True)
    else:
        write_private(layout.gate, json.dumps(gate, indent=2, sort_keys=True) + "\n")


def link_clients(layout: Layout, engine: Path) -> None:
    """Put the clients that `rehearsal env` offers into one folder: the very programs that the rehearsal runs."""
    programs = {
        "pulumi": engine,
        "bao": bao.find_binary(),
        "vault": bao.find_binary(),
        "psql": postgres.find_binaries() / "psql",
        "aws": layout.venv / "bin" / "aws",
    }
    make_folder(layout.bin)
    for name, program in programs.items():
        link = layout.bin / name
        if not link.is_symlink() or link.readlink() != program:
            link.unlink(missing_ok=True)
            link.symlink_to(program)
