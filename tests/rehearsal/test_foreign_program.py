"""A Pulumi program that is not ours, from the built wheel, in an environment of its own: the one that the docs show.

It deploys to the rehearsal's servers by the real engine. Renaming its components replaces nothing.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import venv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.access.lock import lock_file, write_lock
from narrowgate.declarations import load_environment, load_plan
from rehearsal import idp, postgres
from rehearsal.engine import ENGINE_VERSION
from rehearsal.layout import CHECKOUT
from rehearsal.pulumi_home import HOST_FOLDER, list_project_plugins, write_pulumi_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rehearsal.live import LiveRehearsal

PAGE = CHECKOUT / "docs" / "components.md"
NEVER_FOR_AGENTS = ("pulumi", "grpc", "starlette", "uvicorn", "fastapi", "flask", "jinja2", "psycopg", "rehearsal")
LAB = """\
config:
  narrowgate:environment:
    name: lab
    aws: {{account: "{account}", region: {region}, endpoint_url: "{endpoint}",
      broker_arn: "arn:aws:iam::{account}:user/narrowgate/lab/broker", external_id: narrowgate-lab}}
    vault: {{address: "{vault}", namespace: lab, audit: main}}
    identity: {{issuer: "{issuer}", public_keys: [{key}]}}
    trail: {{organization_trail_arn: "arn:aws:cloudtrail:{region}:999999999999:trail/organization"}}
    tools:
      documents: {{bucket: lab-documents}}
      tickets: {{host: 127.0.0.1, port: {port}, database: operations, sslmode: disable}}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--no-build-isolation", "--out-dir", str(folder), str(CHECKOUT))
    (found,) = folder.glob("*.whl")
    return found


def uv(*arguments: str) -> None:
    layout_cache = os.environ.get("NARROWGATE_CACHE")
    cache = {"UV_CACHE_DIR": f"{layout_cache}/uv"} if layout_cache else {}
    done = subprocess.run(
        [str(CHECKOUT / ".venv" / "bin" / "uv"), "-q", *arguments],
        env={**os.environ, "UV_NO_CONFIG": "1", "UV_LINK_MODE": "copy", **cache},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def install(wheel: Path, folder: Path, extra: str = "") -> Path:
    """Make a fresh virtual environment with the wheel and what it asks for, in the locked versions."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    lock = str(CHECKOUT / "requirements.lock")
    uv("pip", "install", "--no-build", "--python", str(python), "--constraint", lock, f"{wheel}{extra}")
    return python


def ask(python: Path, code: str, cwd: Path) -> Any:  # noqa: ANN401 - JSON
    """Return what a snippet prints as JSON, run far from the checkout."""
    environment = {"PATH": os.defpath, "HOME": str(cwd)}
    done = subprocess.run(
        [str(python), "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_agent_installs_neither_pulumi_nor_a_web_server(wheel: Path, tmp_path: Path) -> None:
    python = install(wheel, tmp_path / "agent")
    installed = ask(
        python,
        "import json, importlib.metadata as m; print(json.dumps(sorted(d.name.lower() for d in m.distributions())))",
        tmp_path,
    )
    assert "hvac" in installed
    assert "boto3" in installed
    assert [name for name in installed if name.startswith(NEVER_FOR_AGENTS)] == []
    loaded = ask(
        python,
        "import json, sys, narrowgate.runtime as r; "
        "print(json.dumps([r.__file__, callable(r.login), sorted({m.split('.')[0] for m in sys.modules})]))",
        tmp_path,
    )
    assert loaded[0].startswith(str(tmp_path))
    assert loaded[1] is True
    assert [name for name in loaded[2] if name.startswith(NEVER_FOR_AGENTS)] == []


@dataclass(frozen=True)
class Foreign:
    """The foreign program's project, in a folder and a virtual environment of its own."""

    rehearsal: LiveRehearsal
    folder: Path

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        own = {
            "PULUMI_HOME": str(self.folder.parent / "home"),
            "PULUMI_OPTION_CWD": str(self.folder),
            "PULUMI_STACK": "lab",
            "NARROWGATE_STACKS": str(self.folder / "access"),
            "NARROWGATE_STACK_CONFIG_DIR": str(self.folder),
            "VAULT_NAMESPACE": "lab",
            "LAB_BROKER_PASSWORD": postgres.read_password(self.rehearsal.layout, postgres.BROKER),
        }
        return self.rehearsal.run("pulumi", *arguments, "--non-interactive", check=check, **own)

    def resources(self) -> dict[str, dict[str, Any]]:
        text = self.pulumi("stack", "export").stdout
        return {r["urn"].rsplit("::", 1)[-1]: r for r in json.loads(text)["deployment"]["resources"]}

    def steps(self) -> dict[str, str]:
        """What the engine would do, by the resource's name."""
        steps = json.loads(self.pulumi("preview", "--json", "--show-sames").stdout)["steps"]
        return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps}

    def write(self, program: str) -> None:
        (self.folder / "__main__.py").write_text(program, encoding="utf-8")


def read_program() -> tuple[str, str, str]:
    """Return the page's program, its call that makes a workflow, and the same call under another name."""
    program, renamed = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (call,) = re.findall(r"    agent = AgentWorkflow\(.*?\n    \)\n", program, flags=re.DOTALL)
    return program, call, renamed


@pytest.fixture(scope="module")
def foreign(rehearsal: LiveRehearsal, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    root = tmp_path_factory.mktemp("foreign")
    folder, layout = root / "project", rehearsal.layout
    (folder / "access" / "workflows").mkdir(parents=True)
    (folder / "access" / "tools").mkdir()
    python = install(wheel, root / "venv", "[deploy]")
    home = write_pulumi_home(
        root / "home", python=layout.venv / "bin" / "python", engine_version=ENGINE_VERSION
    )  # the doubles are the checkout's, but what is ours in the deploy must come from the wheel:
    dynamic = home / "plugins" / f"resource-pulumi-python-v{ENGINE_VERSION}" / "pulumi-resource-pulumi-python"
    command = shlex.join([str(python), "-u", str(HOST_FOLDER / "guard.py"), "pulumi.dynamic"])
    dynamic.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    settings = {
        "name": "foreign",
        "runtime": {"name": "python", "options": {"virtualenv": str(root / "venv")}},
        "plugins": list_project_plugins(home, ENGINE_VERSION),
    }
    (folder / "Pulumi.yaml").write_text(json.dumps(settings), encoding="utf-8")
    environment = rehearsal.environment()
    text = LAB.format(
        account=rehearsal.account,
        region=rehearsal.region,
        endpoint=environment["AWS_ENDPOINT_URL"],
        vault=environment["VAULT_ADDR"],
        issuer=idp.issuer(layout),
        key=json.dumps(idp.read_public_key(layout)),
        port=environment["PGPORT"],
    )
    (folder / "Pulumi.lab.yaml").write_text(text, encoding="utf-8")
    write_declarations(folder / "access")
    lock = lock_file(folder / "access", "lab")
    lock.parent.mkdir()
    lock.write_text(write_lock(load_plan(folder / "access", load_environment(folder, "lab"))), encoding="utf-8")
    rehearsal.vault().write_data("sys/namespaces/lab", data={})
    project = Foreign(rehearsal, folder)
    project.write(read_program()[0])
    project.pulumi("stack", "init", "lab")
    project.pulumi("preview")
    project.pulumi("up", "--yes", "--skip-preview")
    yield project
    project.pulumi("destroy", "--yes", "--skip-preview", check=False)


def write_declarations(folder: Path) -> None:
    """Two workflows of the checkout's tools, as another team would write them."""
    for tool in ("documents", "tickets"):
        text = (CHECKOUT / "stacks" / "tools" / f"{tool}.yaml").read_text(encoding="utf-8")
        (folder / "tools" / f"{tool}.yaml").write_text(text, encoding="utf-8")
    uses = {
        "reading": "documents: {actions: [read], scope: {prefix: lab}}",
        "sorting": "tickets: {actions: [read, draft], scope: {tenant: emea}}",
    }
    for name, use in uses.items():
        (folder / "workflows" / f"{name}.yaml").write_text(
            f"version: 1\nworkflow: {name}\nowner: lab\npurpose: Shows {name}.\nenvironments: [lab]\nidentity: jwt\n"
            f"requesters: [service-desk]\nsession: {{ttl: 15m, max_ttl: 1h}}\ntools:\n  {use}\n",
            encoding="utf-8",
        )


def test_the_components_deploy_from_the_wheel(foreign: Foreign, rehearsal: LiveRehearsal) -> None:
    made = foreign.resources()
    assert {r["type"] for r in made.values() if r["type"].startswith("narrowgate:")} == {
        "narrowgate:index:Environment",
        "narrowgate:index:AuditTrail",
        "narrowgate:index:AgentWorkflow",
    }
    role = made["agent-reading.documents-role"]["outputs"]
    found = rehearsal.aws("iam").get_role(RoleName=role["name"])["Role"]
    assert found["Path"] == "/narrowgate/lab/tool/"
    vault = rehearsal.vault()
    assert "agents/sorting/" not in vault.sys.list_auth_methods()["data"]
    vault.adapter.namespace = "lab"
    assert {"agents/reading/", "agents/sorting/"} <= vault.sys.list_auth_methods()["data"].keys()
    group = made["agent-sorting.tickets-group"]["outputs"]["group"]
    with rehearsal.postgres() as database:
        assert database.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (group,)).fetchone() == (1,)
    manifest = json.loads(foreign.pulumi("stack", "output", "--json").stdout)["sorting"]
    assert (manifest["workflow"], manifest["environment"]) == ("sorting", "lab")
    foreign.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "--refresh")


def test_renaming_the_components_replaces_nothing(foreign: Foreign) -> None:
    program, call, renamed = read_program()
    before = {r["id"] for r in foreign.resources().values() if r.get("id")}
    foreign.write(program.replace(call, renamed.replace(', aliases=[pulumi.Alias(name=f"agent-{name}")]', "")))
    without = foreign.steps()
    assert {"create", "delete"} <= set(without.values()), "without the alias this would be a replacement"
    foreign.write(program.replace(call, renamed))
    steps = foreign.steps()
    assert {"worker-reading.documents-role", "worker-sorting.tickets-group", "worker-sorting-auth"} <= set(steps)
    assert set(steps.values()) == {"same"}
    foreign.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    after = foreign.resources()
    assert {r["id"] for r in after.values() if r.get("id")} == before
    assert "worker-sorting.tickets-group" in after
    # and once it has been deployed, the alias can go
    foreign.write(program.replace(call, renamed.replace(', aliases=[pulumi.Alias(name=f"agent-{name}")]', "")))
    assert set(foreign.steps().values()) == {"same"}


def test_moving_a_component_below_another_replaces_nothing(foreign: Foreign) -> None:
    program, _, renamed = read_program()
    (call,) = re.findall(r"    agent = AgentWorkflow\(.*?\n    \)\n", program, flags=re.DOTALL)
    moved = renamed.replace('pulumi.Alias(name=f"agent-{name}")', "pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)")
    moved = moved.replace("depends_on=[foundation]", "depends_on=[foundation], parent=team")
    team = 'team = pulumi.ComponentResource("lab:index:Team", "team")\nfor workflow in'
    foreign.write(program.replace(call, renamed.replace(', aliases=[pulumi.Alias(name=f"agent-{name}")]', "")))
    foreign.pulumi("up", "--yes", "--skip-preview")
    foreign.write(program.replace(call, moved).replace("for workflow in", team))
    assert {name: op for name, op in foreign.steps().items() if op != "same"} == {"team": "create"}
