"""Every committed bad example is refused by the real engine, in preview, before anything exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_runs import PROGRAMS, ROOT, STACKS, Bench, write_pack
from refusals import REFUSED, REFUSED_AS_A_WHOLE
from vault_without_records import bind_own_stacks

from rehearsal.engine import ensure_engine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    engine = ensure_engine(print)
    return Bench(tmp_path_factory.mktemp("engine"), engine.path, engine.version)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return a bench whose pack is the checkout's own, with the checkout's own locks."""
    engine = ensure_engine(print)
    return Bench(tmp_path_factory.mktemp("own"), engine.path, engine.version, pack=ROOT / "policies")


def test_every_program_is_tested() -> None:
    programs = {path.parent.name for path in PROGRAMS.glob("*/__main__.py")}
    assert programs == REFUSED.keys() | REFUSED_AS_A_WHOLE.keys() | {"compliant"}


def test_compliant_programs_pass(bench: Bench) -> None:
    run = bench.run("compliant", "up", "--yes")
    assert run.status == 0, run.output
    assert len(run.created) == 12


@pytest.mark.parametrize("stack", ["dev", "dev-foundation"])
def test_our_own_stacks_pass(own: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str) -> None:
    passfile = tmp_path / "passfile"
    passfile.write_text("postgres.dev.example.com:5432:operations:vault_broker:not a secret\n")
    keys = tmp_path / "credentials"
    keys.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = not a secret\n")
    for file, variable in ((passfile, "NARROWGATE_BROKER_PASSFILE"), (keys, "NARROWGATE_GATED_BROKER_FILE")):
        file.chmod(0o600)
        monkeypatch.setenv(variable, str(file))
    monkeypatch.setenv("VAULT_TOKEN", "nobody's")
    with bind_own_stacks(ROOT / "stacks", tmp_path) as files:
        run = own.run_program(ROOT / "stacks", stack, files, "preview")
    assert run.status == 0, run.output
    assert "narrowgate@v" in run.output


@pytest.mark.parametrize("program", [*REFUSED, *REFUSED_AS_A_WHOLE])
def test_preview_refuses(bench: Bench, program: str) -> None:
    rule, resource, reason = {**REFUSED, **REFUSED_AS_A_WHOLE}[program]
    run = bench.run(program)
    assert run.status != 0, run.output
    assert rule in run.output
    assert resource in run.output
    assert reason in run.output
    assert "Traceback" not in run.output
    assert run.created == ()


@pytest.mark.parametrize(
    ("program", "second"),
    [
        ("two_workflows_one_iam_role", "vault-onboarding.documents"),
        ("two_workflows_one_vault_role", "policy-tool.onboarding.documents"),
        ("two_logins_one_agent", "onboarding-login"),
    ],
)
def test_second_user_is_never_created_without_a_preview(bench: Bench, program: str, second: str) -> None:
    run = bench.run(program, "up", "--yes", "--skip-preview")
    assert run.status != 0, run.output
    # the engine may register the second one first: then it is the lock that it is not within
    assert "workflow-no-shared-identity" in run.output or "access-within-lock" in run.output
    assert not [urn for urn in run.created if urn.endswith(f"::{second}")]


CRASHES = {
    "rule": (
        """
from narrowgate.rules.registry import BY_NAME

def crash(subject, settings):
    raise ZeroDivisionError("a bug")
    yield

object.__setattr__(BY_NAME["iam-boundary-required"], "judge", crash)
""",
        "iam-boundary-required",
        "the rule failed and so refuses: ZeroDivisionError: a bug",
    ),
    "reader": (
        """
from narrowgate_policies import translate

def crash(resource):
    raise ZeroDivisionError("a bug")

translate.READERS["aws:iam/role:Role"] = crash
""",
        "document-known",
        "the pack failed and so refuses",
    ),
}


@pytest.mark.parametrize("what", CRASHES)
def test_what_crashes_refuses(tmp_path: Path, what: str) -> None:
    first, rule, reason = CRASHES[what]
    engine = ensure_engine(print)
    pack = write_pack(tmp_path / "policies", STACKS, first=first)
    run = Bench(tmp_path, engine.path, engine.version, pack=pack).run("compliant")
    assert run.status != 0, run.output
    assert rule in run.output
    assert reason in run.output
    assert run.created == ()
