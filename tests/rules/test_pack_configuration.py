"""No configuration of the pack turns a rule off: the real engine, with bad programs and `--policy-pack-config`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from engine_runs import Bench
from refusals import REFUSED

from narrowgate.rules import RULES
from rehearsal.engine import ensure_engine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.rehearsal

POLICIES = (*(rule.name for rule in RULES), "whole-stack")
BAD = "role_allows_everything"
JUDGING, REFUSED_RESOURCE, _ = REFUSED[BAD]
LOOSER = {
    "all": {"all": "disabled"},
    "all-advisory": {"all": "advisory"},
    "each": dict.fromkeys(POLICIES, "disabled"),
    "first": {POLICIES[0]: "disabled"},
    "last": {POLICIES[-1]: "disabled"},
    "the-one-that-refuses": {JUDGING: "disabled"},
    "the-one-that-refuses-advisory": {JUDGING: "advisory"},
    "the-one-that-refuses-as-an-object": {JUDGING: {"enforcementLevel": "disabled"}},
    "the-one-that-refuses-remediates": {JUDGING: "remediate"},
    "all-but-the-first": dict.fromkeys(POLICIES[1:], "disabled"),
    "all-but-the-last": dict.fromkeys(POLICIES[:-1], "disabled"),
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    found = ensure_engine(print)
    (tmp_path / "engine").mkdir()
    return Bench(tmp_path / "engine", found.path, found.version)


@pytest.mark.parametrize("verb", [("preview",), ("up", "--yes", "--skip-preview")], ids=["preview", "up"])
@pytest.mark.parametrize("looser", LOOSER)
def test_a_configuration_that_turns_a_rule_off_ends_the_run(
    bench: Bench, tmp_path: Path, looser: str, verb: tuple[str, ...]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LOOSER[looser]))
    run = bench.run(BAD, *verb, f"--policy-pack-config={config}")
    assert run.status != 0, run.output
    assert "no rule can be turned off" in run.output
    assert "Traceback" not in run.output
    assert run.created == ()


def test_a_configuration_that_keeps_every_rule_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"all": "mandatory", JUDGING: "mandatory"}))
    option = f"--policy-pack-config={config}"
    assert bench.run("compliant", "preview", option).status == 0
    run = bench.run(BAD, "preview", option)
    assert run.status != 0, run.output
    assert JUDGING in run.output


def test_without_the_pack_the_program_refuses(bench: Bench) -> None:
    run = bench.run_judged(BAD, "up", "--yes", "--skip-preview")
    assert run.status != 0, run.output
    assert f"[{JUDGING}]" in run.output
    assert not [urn for urn in run.created if urn.endswith(f"::{REFUSED_RESOURCE}")]
