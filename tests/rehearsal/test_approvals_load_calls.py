"""How often an executor asks Vault in one round: what waits, and what has ended, costs nothing for each of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gate_bench import MOUNTS, WORKFLOW

from narrowgate.approvals import State, waiting
from narrowgate.approvals.case import Claim, now
from narrowgate.approvals.errors import DraftError
from narrowgate.approvals.intake import Intake

if TYPE_CHECKING:
    import pytest
    from gate_bench import GateBench

    from narrowgate.approvals.executor import Executor


def count_calls(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let an executor work one round in which nothing moves, and return how many requests it sends to Vault."""
    ask, calls = executor.vault.ask, []

    def counted(method: str, path: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the original
        calls.append(path)
        return ask(method, path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(executor.vault, "ask", counted)
        assert executor.work() == 0
    return len(calls)


def work_until_still(executor: Executor) -> None:
    while executor.work():
        pass


def draft_some(bench: GateBench, executor: Executor, count: int) -> list[str]:
    """Have `count` requests more wait."""
    drafted = [bench.draft(f"Idle {next(bench.numbers)} Oy") for _ in range(count)]
    work_until_still(executor)
    assert set(drafted) <= set(executor.store.list_open(WORKFLOW, "vendors"))
    return drafted


def test_a_round_costs_the_same_however_many_requests_wait(bench: GateBench, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = bench.executor()
    few = draft_some(bench, executor, 2)
    cost = count_calls(executor, monkeypatch)
    many = draft_some(bench, executor, 10)
    assert count_calls(executor, monkeypatch) == cost
    for request in few + many:
        bench.deny("ann", request)
    work_until_still(executor)
    assert {bench.record(request)["state"] for request in few + many} == {State.DENIED}


def test_a_replica_that_starts_asks_nothing_about_what_has_ended(
    bench: GateBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = bench.executor()
    (first,) = draft_some(bench, executor, 1)
    bench.deny("ann", first)
    work_until_still(executor)
    cost = count_calls(bench.executor(), monkeypatch)
    for request in draft_some(bench, executor, 6):
        bench.deny("ann", request)
    work_until_still(executor)
    assert count_calls(bench.executor(), monkeypatch) == cost


def test_a_decision_on_one_of_many_is_seen_at_once(bench: GateBench) -> None:
    executor = bench.executor()
    *others, chosen = draft_some(bench, executor, 4)
    bench.approve("ann", chosen)
    assert executor.work() == 1
    assert bench.record(chosen)["state"] == State.EXECUTED
    for request in others:
        bench.deny("ann", request)
    work_until_still(executor)


def test_what_no_list_tells_is_seen_by_the_next_whole_look(bench: GateBench, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = bench.executor()
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.0)
    (request,) = draft_some(bench, executor, 1)
    path = f"{MOUNTS['cases']}/data/{request.replace('.', '/')}"
    entry = bench.root.read(path)["data"]["data"]
    bench.root.write_data(path, data={"data": entry, "options": {"cas": 1}})  # a second version
    work_until_still(executor)
    assert bench.record(request)["state"] == State.REFUSED


def test_a_draft_is_not_refused_where_another_replica_has_taken_it(
    bench: GateBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that stood still since it saw no case yet, and finds the draft wanting now, says nothing."""
    executor, slow = bench.executor(), bench.executor()
    slow.log_in()
    request = bench.draft("Stood Still Oy")
    check = Intake._check_draft  # noqa: SLF001 - the moment between looking and saying

    def stand_still(*_: object) -> None:
        monkeypatch.setattr(Intake, "_check_draft", check)
        assert executor.work() == 1
        bench.approve("ann", request)
        assert executor.store.create_claim(request, Claim(executor.name, now().isoformat()))
        raise DraftError("The draft is older than an approval may take.")

    monkeypatch.setattr(Intake, "_check_draft", stand_still)
    slow.work()
    assert not bench.record(request)
    assert executor.work() == 1
    assert bench.record(request)["state"] == State.EXECUTED
    assert bench.vendors("Stood Still Oy") == [("FI", "active")]


def test_a_refusal_that_a_crash_cut_short_is_said_by_another(bench: GateBench) -> None:
    executor = bench.executor(claim_seconds=0)
    request = bench.draft("Cut Short Oy", rationale=" ")
    executor.log_in()
    claim = Claim("one that died", now().isoformat(), ends=State.REFUSED, words="It is no draft.")
    assert executor.store.create_claim(request, claim)
    work_until_still(executor)
    assert bench.record(request)["state"] == State.REFUSED
