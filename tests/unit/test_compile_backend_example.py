"""The example of docs/backends.md, run as it stands there: one module, one table entry and one name make a backend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from narrowgate.compile import compile_plan
from narrowgate.compile.backends import BACKENDS
from narrowgate.declarations import DeclarationErrors, load_environment, load_plan
from narrowgate.plan import Backend

PAGE = Path(__file__).resolve().parents[2] / "docs" / "backends.md"
WORKFLOW = """\
version: 1
workflow: patching
owner: platform
purpose: Looks after the hosts.
environments: [dev]
identity: jwt
requesters: [platform]
session: {ttl: 10m, max_ttl: 1h}
tools:
  bastion: {actions: [connect], scope: {login: %s}}
"""


def read_block(language: str) -> str:
    _, _, example = PAGE.read_text(encoding="utf-8").partition("## Adding one")
    (block,) = re.findall(rf"```{language}\n(.*?)```", example, re.DOTALL)
    return block


@pytest.fixture
def ssh(monkeypatch: pytest.MonkeyPatch, stacks: Path) -> Path:
    """Add the backend as its three lines would, and its tool; return the stacks."""
    member = str.__new__(Backend, "ssh")
    member._name_, member._value_ = "SSH", "ssh"
    monkeypatch.setitem(Backend._value2member_map_, "ssh", member)
    module: dict[str, Any] = {"__name__": "ssh"}
    exec(compile(read_block("python"), str(PAGE), "exec"), module)  # noqa: S102 - the page's code is what is tested
    monkeypatch.setitem(BACKENDS, member, module["SSH"])
    (stacks / "tools" / "bastion.yaml").write_text(read_block("yaml"), encoding="utf-8")
    return stacks


def test_the_example_compiles_to_one_role_and_one_path(ssh: Path) -> None:
    (ssh / "workflows" / "patching.yaml").write_text(WORKFLOW % "patcher", encoding="utf-8")
    documents = compile_plan(load_plan(ssh, load_environment(ssh, "dev")))
    (tool,) = next(w for w in documents.workflows if w.access.name == "patching").tools
    assert tool.engine is not None
    assert tool.engine.path == "narrowgate-ssh/roles/patching.bastion"
    assert tool.engine.settings["allowed_users"] == "patcher"
    assert tool.engine.settings["ttl"] == 600
    assert tool.policy is not None
    assert 'path "narrowgate-ssh/sign/patching.bastion" {' in tool.policy.text
    assert '"valid_principals" = ["patcher"]' in tool.policy.text


@pytest.mark.parametrize("login", ["root*", '"*"', "'a,b'", '"${scope.login}"'])
def test_a_hostile_value_is_refused_in_its_place(ssh: Path, login: str) -> None:
    (ssh / "workflows" / "patching.yaml").write_text(WORKFLOW % login, encoding="utf-8")
    with pytest.raises(DeclarationErrors, match="no login name"):
        load_plan(ssh, load_environment(ssh, "dev"))


def test_a_mistake_in_its_tool_has_a_place(ssh: Path) -> None:
    path = ssh / "tools" / "bastion.yaml"
    path.write_text(read_block("yaml").replace("access: write", "access: read"), encoding="utf-8")
    with pytest.raises(DeclarationErrors, match="whoever logs in may write") as caught:
        load_plan(ssh, load_environment(ssh, "dev"))
    (error,) = caught.value.errors
    assert (error.location.path, error.location.line, error.code) == (path, 8, "access-understated")
