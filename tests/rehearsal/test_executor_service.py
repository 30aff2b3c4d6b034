"""`narrowgate executor run` as a process of its own, against the real servers: it serves, waits, stops or refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac.exceptions
import pytest
from executor_process import SECONDS, serving, wait_for_case, wait_for_end
from gate_bench import ACTIONS, WORKFLOW
from gate_cli import executor_environment, run

from narrowgate.approvals.canary import prove_gate
from narrowgate.approvals.errors import NoGateError
from rehearsal import bao

if TYPE_CHECKING:
    from pathlib import Path

    from gate_bench import GateBench

GATED_POLICY = f"gated.{WORKFLOW}.vendors.create-by-two"


def open_the_path(bench: GateBench, control_group: str = "") -> None:
    """Write the policy of one gated path without what holds it back."""
    path = f"narrowgate-database-gated/creds/{WORKFLOW}.vendors.create-by-two"
    text = f'path "{path}" {{ capabilities = ["read"] {control_group} }}\n'
    text += 'path "auth/token/revoke-self" { capabilities = ["update"] }\n'
    bench.root.sys.create_or_update_policy(GATED_POLICY, text)


def close_the_path(bench: GateBench) -> None:
    bench.root.sys.create_or_update_policy(GATED_POLICY, bench.policy(GATED_POLICY))


def test_it_proves_the_gate_serves_and_stops_gracefully(bench: GateBench, tmp_path: Path) -> None:
    with serving(bench, tmp_path) as (service,):
        assert service.wait_for("executor.serving")["gated"] == len(ACTIONS)
        request = bench.draft("Topaz Secret Oy")
        wait_for_case(bench, request)
        bench.approve("ann", request)
        assert wait_for_end(bench, request)["state"] == "executed"
        service.wait_for("request.ended", request=request, state="executed")
        assert service.stop() == 0
    assert service.lines[-1]["event"] == "executor.stopped"
    assert bench.vendors("Topaz Secret Oy") == [("FI", "active")]
    for secret in ("Topaz", "FI00 1234", '"hvs.', '"s.', "eyJ", "papers"):
        assert secret not in service.text


def test_three_replicas_carry_out_each_request_once(bench: GateBench, tmp_path: Path) -> None:
    with serving(bench, tmp_path, count=3) as services:
        for service in services:
            service.wait_for("executor.serving")
        names = [f"Triplet {number} Oy" for number in range(6)]
        requests = [bench.draft(name) for name in names]
        for request in requests:
            wait_for_case(bench, request)
            bench.approve("ann", request)
        assert {wait_for_end(bench, request)["state"] for request in requests} == {"executed"}
        assert [service.stop() for service in services] == [0, 0, 0]
    assert [bench.vendors(name) for name in names] == [[("FI", "active")]] * 6


def test_a_vault_that_restarts_loses_nothing(bench: GateBench, tmp_path: Path) -> None:
    with serving(bench, tmp_path) as (service,):
        service.wait_for("executor.serving")
        request = bench.draft("Uvarovite Oy")
        wait_for_case(bench, request)
        bench.approve("ann", request)
        bench.live.stop(bao.NAME)
        service.wait_for("executor.waiting", code="vault-unavailable")
        assert bao.start_bao(bench.live.layout)
        assert wait_for_end(bench, request)["state"] in {"executed", "in-doubt"}
        assert service.stop() == 0


def test_it_waits_for_a_vault_that_is_not_up_yet(bench: GateBench, tmp_path: Path) -> None:
    bench.live.stop(bao.NAME)
    try:
        with serving(bench, tmp_path) as (service,):
            service.wait_for("executor.waiting", code="vault-unavailable")
            assert bao.start_bao(bench.live.layout)
            service.wait_for("executor.serving")
            assert service.stop() == 0
    finally:
        bao.start_bao(bench.live.layout)


@pytest.mark.parametrize(
    "opened",
    [
        pytest.param("", id="no control group"),
        pytest.param('control_group = { factor "f" { controlled_capabilities = ["create"] identity { group_names = '
                     '["approvers.security"] approvals = 1 } } }', id="the capability is left out"),
    ],
)  # fmt: skip
def test_it_does_not_serve_while_a_gated_path_is_open(bench: GateBench, tmp_path: Path, opened: str) -> None:
    open_the_path(bench, opened)
    try:
        done = run(executor_environment(bench, tmp_path), "executor", "run", "--tool", "vendors")
        assert (done.returncode, "gate-open" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
        assert "executor.serving" not in done.stderr
    finally:
        close_the_path(bench)
    assert prove_gate(bench.executor()) == len(ACTIONS)


def test_a_group_that_asks_nobody_cannot_be_written(bench: GateBench) -> None:
    group = 'identity { group_names = ["approvers.security"] approvals = 0 }'
    with pytest.raises(hvac.exceptions.InvalidRequest, match="approvals"):
        open_the_path(bench, f'control_group = {{ factor "f" {{ controlled_capabilities = ["read"] {group} }} }}')
    assert prove_gate(bench.executor()) == len(ACTIONS)


def test_it_stops_serving_where_the_gate_is_opened_later(bench: GateBench, tmp_path: Path) -> None:
    executor = bench.executor()
    while executor.work():
        pass
    with serving(bench, tmp_path) as (service,):
        service.wait_for("executor.serving")
        open_the_path(bench)
        try:
            request = bench.draft("Vesuvianite Oy", "create-by-two")
            assert service.process.wait(SECONDS) == 1
        finally:
            close_the_path(bench)
    assert not bench.record(request)
    assert not bench.vendors("Vesuvianite Oy")
    executor.work()
    bench.deny("ann", request)
    executor.work()


def test_a_gate_that_opens_without_any_approval_is_found_by_unwrapping(bench: GateBench) -> None:
    """A login that some other policy lets unwrap, or a group that asks nobody: the canary tries, and says so."""
    executor = bench.executor()
    ask = executor.vault.ask

    def give(method: str, path: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the original
        return {"data": {}} if path == "sys/wrapping/unwrap" else ask(method, path, *arguments, **named)

    executor.vault.ask = give  # type: ignore[method-assign]
    with pytest.raises(NoGateError, match="without any approval"):
        prove_gate(executor)


def test_mistakes_are_told_at_once(bench: GateBench, tmp_path: Path) -> None:
    env = executor_environment(bench, tmp_path)
    unknown = run(env, "executor", "run", "--tool", "tickets")
    assert (unknown.returncode, "gate-settings-invalid" in unknown.stderr) == (2, True)
    (tmp_path / "wrong.jwt").write_text(bench.sign("ann", "executors:vendors", "vendor-approvers"))
    wrong = run(env, "executor", "run", "--tool", "vendors", "--token-file", str(tmp_path / "wrong.jwt"))
    assert (wrong.returncode, "login-refused" in wrong.stderr, "Traceback" in wrong.stderr) == (1, True, False)
    missing = run(env, "executor", "run", "--tool", "vendors", "--token-file", str(tmp_path / "none"))
    assert (missing.returncode, "cannot be read" in missing.stderr) == (1, True)
