"""What no real server of ours can be brought to: a Vault without control groups, sealed, or without an audit device."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from narrowgate import control_groups
from narrowgate.compile.foundation import compile_foundation
from narrowgate.declarations import load_environment
from narrowgate.operations.doctor import CHECKS, Health, Patient, examine
from narrowgate.operations.doctor.examination import run_check

if TYPE_CHECKING:
    from narrowgate.operations.vault import VaultOperator

ENVIRONMENT = load_environment(Path(__file__).resolve().parents[2] / "stacks", "dev")
WELL = {"sys/seal-status": {"initialized": True, "sealed": False, "version": "2.7.2"}, "sys/audit": {"main/": {}}}


class StubVault:
    """Answers reads from a table."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.adapter = SimpleNamespace(token="s.doctor")

    def read(self, path: str) -> Any:  # noqa: ANN401 - as the real one
        return self.answers.get(path)


def look(name: str, answers: dict[str, Any] | None = None, *, gated: bool = True) -> tuple[str, str]:
    vault = cast("VaultOperator", StubVault({**WELL, **(answers or {})}))
    patient = Patient(ENVIRONMENT, compile_foundation(ENVIRONMENT), vault, lambda _: None, gated)
    finding = run_check(next(check for check in CHECKS if check.name == name), patient)
    assert bool(finding.mend) is (finding.health in {Health.WRONG, Health.UNKNOWN})
    return finding.health.value, finding.detail


@pytest.mark.parametrize(
    ("status", "gated", "health"),
    [(400, True, "ok"), (404, True, "wrong"), (403, True, "wrong"), (404, False, "skipped")],
)
def test_a_server_without_control_groups_is_wrong_where_actions_are_gated(
    status: int,
    gated: bool,  # noqa: FBT001 - parametrized
    health: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_groups, "_ask", lambda *_: status)
    assert look("vault-control-groups", gated=gated)[0] == health


@pytest.mark.parametrize("answer", [{"initialized": True, "sealed": True}, {"initialized": False, "sealed": True}, {}])
def test_a_sealed_vault_is_wrong(answer: dict[str, Any]) -> None:
    assert look("vault-server")[0] == "ok"
    assert look("vault-server", {"sys/seal-status": answer})[0] == "wrong"


def test_a_vault_that_logs_nothing_or_elsewhere_is_wrong() -> None:
    assert look("vault-audit") == ("ok", "main")
    assert look("vault-audit", {"sys/audit": {"other/": {}}}) == ("wrong", "The audit device main is not on.")
    assert look("vault-audit", {"sys/audit": {"data": {}}})[0] == "wrong"


def test_every_check_runs_though_another_found_something() -> None:
    vault = cast("VaultOperator", StubVault({}))

    class NoClient:
        def __getattr__(self, _: str) -> Any:  # noqa: ANN401 - no client
            from botocore.exceptions import NoCredentialsError

            raise NoCredentialsError

    patient = Patient(ENVIRONMENT, compile_foundation(ENVIRONMENT), vault, lambda _: NoClient(), gated=True)
    kept = [check.name for check in CHECKS if check.name not in {"vault-clock", "identity-keys"}]
    found = {name: run_check(check, patient).health for check in CHECKS if (name := check.name) in kept}
    assert Health.OK not in found.values()
    assert found["aws-account"] is Health.UNKNOWN
    assert callable(examine)
