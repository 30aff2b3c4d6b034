"""`access compare` and `access evaluate` on policy files: answers and exit codes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from narrowgate.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `narrowgate access …` in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["narrowgate", "access", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def allow(action: str, resource: str, **more: object) -> dict[str, object]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, object], Path]:
    def put(name: str, content: object) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return put


WIDE, NARROW = "arn:aws:s3:::b/*", "arn:aws:s3:::b/x/*"


def test_compare_iam(run: Run, write: Callable[[str, object], Path]) -> None:
    wide, narrow = write("wide.json", allow("s3:*", WIDE)), write("narrow.json", allow("s3:GetObject", NARROW))
    assert run("compare", wide, narrow)[0] == 0
    code, out, _ = run("compare", narrow, wide, "--format", "json")
    answer = json.loads(out)
    assert code == 1
    assert answer["no_new_access"] is False
    assert "arn:aws:s3:::b/" in answer["witness"]
    assert "for example" in run("compare", narrow, wide)[1]


def test_compare_lists_of_iam_policies(run: Run, write: Callable[[str, object], Path]) -> None:
    both = write("both.json", [allow("s3:GetObject", NARROW), allow("s3:PutObject", NARROW)])
    one = write("one.json", allow("s3:PutObject", NARROW))
    assert (run("compare", both, one)[0], run("compare", one, both)[0]) == (0, 1)


def test_compare_vault(run: Run, write: Callable[[str, object], Path]) -> None:
    wide = write("wide.hcl", 'path "kv/*" {\n  capabilities = ["read", "list"]\n}\n')
    narrow = write("narrow.hcl", 'path "kv/a" {\n  capabilities = ["read"]\n}\n')
    as_json = write("narrow.json", {"path": {"kv/a": {"capabilities": ["read"]}}})
    assert run("compare", wide, narrow)[0] == 0
    assert run("compare", wide, as_json)[0] == 0
    code, out, _ = run("compare", narrow, wide)
    assert code == 1
    assert "kv/" in out


def test_compare_refuses_files_of_two_kinds(run: Run, write: Callable[[str, object], Path]) -> None:
    code, out, err = run("compare", write("a.json", allow("s3:*", "*")), write("b.hcl", ""))
    assert (code, out) == (2, "")
    assert "not of one kind" in err


@pytest.mark.parametrize(
    "content", ["{", '{"Statement": 7}', '{"Version": "2012-10-17", "Statement": [{"Effect": "Maybe"}]}', "[1]"]
)
def test_a_broken_policy_is_exit_2(run: Run, write: Callable[[str, object], Path], content: str) -> None:
    good = write("good.json", allow("s3:*", "*"))
    code, out, err = run("compare", good, write("bad.json", content))
    assert (code, out) == (2, "")
    assert "Traceback" not in err


def test_evaluate_iam(run: Run, write: Callable[[str, object], Path]) -> None:
    policy = write("p.json", allow("s3:ListBucket", "arn:aws:s3:::b", Condition={"StringLike": {"s3:prefix": "x/*"}}))
    ask = ("evaluate", "s3:ListBucket", "arn:aws:s3:::b", "--policy", policy)
    assert run(*ask)[0] == 1
    code, out, _ = run(*ask, "--context", "s3:prefix=x/1")
    assert code == 0
    assert out.startswith("Allowed")
    assert "Statement[0]" in out
    code, out, _ = run(*ask, "--context", "s3:prefix=y", "--format", "json")
    assert code == 1
    assert json.loads(out)["reason"] == "ImplicitlyDenied"


def test_a_boundary_limits(run: Run, write: Callable[[str, object], Path]) -> None:
    policy, boundary = write("p.json", allow("s3:*", "*")), write("b.json", allow("s3:GetObject", "*"))
    ask = ("--policy", policy, "--boundary", boundary)
    assert run("evaluate", "s3:GetObject", "arn:aws:s3:::b/x", *ask)[0] == 0
    assert run("evaluate", "s3:PutObject", "arn:aws:s3:::b/x", *ask)[0] == 1


def test_evaluate_vault(run: Run, write: Callable[[str, object], Path]) -> None:
    policy = write("p.hcl", 'path "kv/a" {\n  capabilities = ["update"]\n  required_parameters = ["digest"]\n}\n')
    ask = ("evaluate", "update", "kv/a", "--policy", policy)
    assert run(*ask)[0] == 1
    assert run(*ask, "--parameter", "digest=abc")[0] == 0
    assert run("evaluate", "read", "kv/a", "--policy", policy)[0] == 1


def test_options_of_the_other_kind_are_refused(run: Run, write: Callable[[str, object], Path]) -> None:
    vault, iam = write("p.hcl", 'path "kv/a" {\n  capabilities = ["read"]\n}\n'), write("p.json", allow("s3:*", "*"))
    assert run("evaluate", "read", "kv/a", "--policy", vault, "--context", "a=b")[0] == 2
    assert run("evaluate", "s3:GetObject", "*", "--policy", iam, "--parameter", "a=b")[0] == 2
    assert run("evaluate", "s3:GetObject", "*", "--policy", iam, "--context", "novalue")[0] == 2
    assert run("evaluate", "s3:GetObject", "*", "--policy", iam, "--policy", vault)[0] == 2
