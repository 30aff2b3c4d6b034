from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import jwt
import pytest
from rich.console import Console
from typer.testing import CliRunner

from rehearsal import cli, stack
from rehearsal.errors import RehearsalError
from rehearsal.layout import Layout
from rehearsal.operator_environment import UNSET, format_exports
from rehearsal.processes import MARKER
from rehearsal.progress import Progress
from rehearsal.steps import Step, StepError, delete_data, run_steps

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsal.progress import StepLine
    from rehearsal.steps import Run


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setenv("NARROWGATE_REHEARSAL_DIR", str(tmp_path / "state"))
    return Layout(root=tmp_path / "state", cache=tmp_path / "cache")


@pytest.fixture
def quiet() -> Progress:
    return Progress(Console(file=io.StringIO(), width=200))


def said(progress: Progress) -> str:
    file = progress.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("1h", 3600), ("24h", 86400)])
def test_times_to_live_are_read(text: str, seconds: int) -> None:
    assert cli.read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "10", "-1m", "1d", "25h", "1.5h", "10m ", "m", "99999999h"])
def test_other_times_to_live_are_refused(text: str) -> None:
    with pytest.raises(RehearsalError):
        cli.read_seconds(text)


def test_env_prints_nothing_to_evaluate_when_nothing_runs(layout: Layout) -> None:
    result = CliRunner().invoke(cli.app, ["env"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "make rehearsal" in result.stderr
    assert not layout.root.exists()


def test_status_of_nothing_is_down_and_still_json(layout: Layout) -> None:
    result = CliRunner().invoke(cli.app, ["status", "--format", "json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["version"] == 2
    assert found["running"] is False
    down = {part["name"]: part["healthy"] for part in found["environments"]["dev"]["parts"]}
    assert down == {"aws": False, "dev-postgres": False, "dev-openid": False, "dev-bao": False}
    assert found["paths"]["state"] == str(layout.root)


def test_token_is_one_line_that_the_identity_provider_signed(layout: Layout) -> None:
    arguments = [
        "token",
        "--workflow",
        "ticket-drafting",
        "--user",
        "sam",
        "--group",
        "a",
        "--group",
        "b",
        "--ttl",
        "30s",
    ]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["groups"], claims["exp"] - claims["iat"]) == ("sam", ["a", "b"], 30)
    assert claims["act"] == {"sub": "agent:ticket-drafting"}
    assert layout.of("dev").idp.exists()


def test_mistake_is_told_without_a_traceback(layout: Layout) -> None:
    result = CliRunner().invoke(cli.app, ["token", "--user", "sam", "--ttl", "forever"])
    assert result.exit_code == 1
    assert "no time to live" in result.stderr
    assert "Traceback" not in result.output
    assert not layout.of("dev").idp.exists()


def test_down_and_reset_of_nothing_are_fine(layout: Layout) -> None:
    assert CliRunner().invoke(cli.app, ["down"]).exit_code == 0
    assert CliRunner().invoke(cli.app, ["reset", "--yes"]).exit_code == 0
    assert not layout.root.exists()


@pytest.mark.parametrize("text", ["not json", '{"version": 1}', '{"version": 99}'])
def test_reset_is_the_way_out_of_a_state_that_cannot_be_read(layout: Layout, text: str) -> None:
    layout.root.mkdir(parents=True)
    layout.state_file.write_text(text)
    environ = {**os.environ, MARKER: str(layout.root)}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environ) as orphan:
        done = CliRunner().invoke(cli.app, ["reset", "--yes"])
        assert done.exit_code == 0, done.output
        orphan.wait(10)  # ended by the reset: it would sleep for a minute
    assert not layout.root.exists()


def test_reset_asks_first(layout: Layout) -> None:
    layout.root.mkdir()
    layout.lock_file.touch()
    assert CliRunner().invoke(cli.app, ["reset"], input="n\n").exit_code == 1
    assert layout.root.exists()
    assert CliRunner().invoke(cli.app, ["reset"], input="y\n").exit_code == 0
    assert not layout.root.exists()


def test_folder_of_something_else_is_never_deleted(layout: Layout, quiet: Progress) -> None:
    layout.root.mkdir()
    (layout.root / "thesis.txt").write_text("years of work")
    with pytest.raises(RehearsalError, match="something else"):
        delete_data(layout, quiet)
    assert (layout.root / "thesis.txt").exists()


@pytest.mark.parametrize("value", ["plain", "two words", "it's", "$(touch /tmp/x)", "`id`", 'a"b', "line\nbreak", "*"])
def test_exports_are_quoted_for_the_shell(value: str) -> None:
    script = format_exports({"NARROWGATE_PROBE": value}) + 'printf %s "$NARROWGATE_PROBE"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == value


def test_exports_take_away_what_would_win_over_them() -> None:
    script = format_exports({}) + "env"
    environment = {"PATH": "/usr/bin:/bin", **dict.fromkeys(UNSET, "mine")}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert "mine" not in done.stdout


def test_exports_are_shell_words() -> None:
    for line in format_exports({"A": "x y", "B": ""}).splitlines():
        assert shlex.split(line)[0] in {"export", "unset"}


@pytest.mark.parametrize(
    ("outputs", "changed"),
    [("", False), ("Outputs:\n    gate: {\n        a: 1\n", False), ("Outputs:\n  ~ gate     : {\n", True)],
)
def test_a_changed_output_is_told_from_a_refreshed_resource(outputs: str, changed: bool) -> None:  # noqa: FBT001
    resources = " ~  vault:index:Mount dev-kv refreshing \n    aws:iam:Role dev-role \n"
    said = f"{resources}{outputs}\nResources:\n    75 unchanged\n"
    assert stack.changes_outputs(said) is changed


def test_overlay_replaces_adds_and_takes_away() -> None:
    target = {"aws": {"account": "1", "region": "r"}, "identity": {"jwks_url": "u"}, "tools": {"a": {"host": "h"}}}
    stack.overlay(
        target,
        {"aws": {"account": "2"}, "identity": {"jwks_url": None, "public_keys": ["k"]}, "tools": {"a": {"port": 5}}},
    )
    assert target == {
        "aws": {"account": "2", "region": "r"},
        "identity": {"public_keys": ["k"]},
        "tools": {"a": {"host": "h", "port": 5}},
    }


@pytest.mark.parametrize(
    ("output", "summary"),
    [
        ("Resources:\n    + 7 to create\n\nResources:\n    + 7 created\n\nDuration: 2s\n", "7 created"),
        (
            "Resources:\n    + 1 created\n    ~ 2 updated\n    - 3 deleted\n    4 unchanged\n",
            "1 created, 2 updated, 3 deleted, 4 unchanged",
        ),
        ("Resources:\n    +-1 replaced\n    12 unchanged\n", "1 replaced, 12 unchanged"),
        ("", "nothing to do"),
    ],
)
def test_summary_is_the_engines_last_one(output: str, summary: str) -> None:
    assert stack.summarize(output) == summary


def test_steps_run_in_order_with_time_and_note(layout: Layout, quiet: Progress) -> None:
    ran = []

    def work(_: Run, line: StepLine) -> None:
        ran.append(line.name)
        line.report("half way")
        line.note = "all of it"

    run_steps(layout, quiet, [Step("first", work), Step("second", work)])
    assert ran == ["first", "second"]
    assert "half way" in said(quiet)
    lines = [line for line in said(quiet).splitlines() if line.startswith("✓")]
    assert [line.split()[1] for line in lines] == ["first", "second"]
    assert all(" s " in line and line.endswith("all of it") for line in lines)


def test_failed_step_names_itself_the_reason_and_the_log(layout: Layout, quiet: Progress, tmp_path: Path) -> None:
    def work(_: Run, __: StepLine) -> None:
        raise RehearsalError("no space left", hint="delete something", log=tmp_path / "x.log")

    def never(_: Run, __: StepLine) -> None:
        pytest.fail("a step after the failed one ran")

    with pytest.raises(StepError, match=r"step 1 of 2, first, failed after .* s: no space left") as caught:
        run_steps(layout, quiet, [Step("first", work), Step("second", never)])
    assert (caught.value.hint, caught.value.log) == ("delete something", tmp_path / "x.log")
