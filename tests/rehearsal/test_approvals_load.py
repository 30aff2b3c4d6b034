"""Three hundred requests, three executors, and somebody who kills executors and Vault: nothing twice, nothing lost."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.approvals import NotFoundError, State, VaultDownError, VaultRefusedError
from rehearsal import bao

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gate_bench import GateBench

pytestmark = [
    pytest.mark.long,
    # Connections that a killed Vault breaks are nobody's to close.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

REQUESTS = 300
SECONDS = 1_500
# As `narrowgate executor run`, but what a dead replica began is taken over soon.
EXECUTOR = """
    import sys
    from narrowgate.approvals import read_gate
    from narrowgate.approvals.executor import Executor
    from narrowgate.approvals.service import log_as_json, serve, stopped_by_signals

    gate, token, verify = sys.argv[1:]
    log_as_json()
    executor = Executor(read_gate(gate), "vendors", lambda: open(token).read(), verify=verify, claim_seconds=20)
    with stopped_by_signals(executor.stopping):
        serve(executor, every=0.5)
"""


class Crew:
    """Three executors, and who kills one or Vault now and then, until `calm` is called."""

    def __init__(self, bench: GateBench, folder: Path, seed: int) -> None:
        self.bench, self.folder = bench, folder
        self.random = random.Random(seed)  # noqa: S311 - chooses victims
        self.kills = {"executor": 0, "vault": 0}
        self.running: list[subprocess.Popen[bytes]] = []
        self._calm = threading.Event()
        self._killer = threading.Thread(target=self._kill)

    def start(self) -> None:
        (self.folder / "gate.json").write_text(json.dumps(self.bench.document))
        self.write_token()
        self.running = [self._launch() for _ in range(3)]
        self._killer.start()

    def write_token(self) -> None:
        (self.folder / "executor.jwt").write_text(self.bench.sign("executor:vendors", "executors:vendors"))

    def _launch(self) -> subprocess.Popen[bytes]:
        number = sum(self.kills.values())
        log = (self.folder / f"executor-{number}-{time.monotonic_ns()}.log").open("wb")
        files = [str(self.folder / "gate.json"), str(self.folder / "executor.jwt"), self.bench.verify]
        with log:
            return subprocess.Popen([sys.executable, "-c", textwrap.dedent(EXECUTOR), *files], stderr=log)

    def _kill(self) -> None:
        while not self._calm.wait(self.random.uniform(2, 6)):
            self.write_token()
            if self.random.random() < 0.3:
                process = self.bench.live.process(bao.NAME)
                if process is not None:
                    process.kill()
                    process.wait(30)
                self._calm.wait(self.random.uniform(0, 2))
                bao.start_bao(self.bench.live.layout)
                self.kills["vault"] += 1
            else:
                victim = self.random.randrange(3)
                self.running[victim].kill()
                self.running[victim].wait()
                self.running[victim] = self._launch()
                self.kills["executor"] += 1

    def calm(self) -> None:
        self._calm.set()
        if self._killer.is_alive():
            self._killer.join()

    def end(self) -> list[int]:
        self.calm()
        for process in self.running:
            process.terminate()
        return [process.wait(60) for process in self.running]


@contextlib.contextmanager
def crew_at_work(bench: GateBench, folder: Path, seed: int) -> Iterator[Crew]:
    crew = Crew(bench, folder, seed)
    crew.start()
    try:
        yield crew
    finally:
        crew.end()


def insist(step: Callable[[], Any]) -> Any:  # noqa: ANN401 - the step's
    """Do `step` until Vault is up for it."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return step()
        except (VaultDownError, AssertionError):  # a draft that may have been written is written once only
            assert time.monotonic() < deadline
        except (NotFoundError, VaultRefusedError):  # no case yet, or a login that a dead Vault forgot
            assert time.monotonic() < deadline
        time.sleep(0.3)


def choose_fates(seed: int) -> list[str]:
    chooser = random.Random(seed)  # noqa: S311 - as above
    return chooser.choices(["approve", "deny", "forget"], [6, 2, 2], k=REQUESTS)


def test_every_approved_request_is_executed_once_or_in_doubt_and_no_other_ever(
    bench: GateBench, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - a failure is tried again with it
    executor = bench.executor()
    while executor.work():  # what other tests left open
        pass
    fates = choose_fates(seed)
    names = [f"Load {seed} {number} {fate}" for number, fate in enumerate(fates)]
    requests: list[str] = []
    with crew_at_work(bench, tmp_path, seed) as crew:
        for name, fate in zip(names, fates, strict=True):
            action = "create-in-haste" if fate == "forget" else "create"
            requests.append(insist(lambda name=name, action=action: bench.draft(name, action)))
        for request, fate in zip(requests, fates, strict=True):
            if fate != "forget":
                decide = bench.approve if fate == "approve" else bench.deny
                insist(lambda decide=decide, request=request: decide("ann", request))
        crew.calm()
        states = [wait_for_state(bench, request) for request in requests]
        kills = crew.kills
    assert kills["executor"] > 0
    assert kills["vault"] > 0
    counts: dict[str, dict[str, int]] = {}
    for name, fate, state in zip(names, fates, states, strict=True):
        rows = len(bench.vendors(name))
        counts.setdefault(fate, {}).setdefault(state, 0)
        counts[fate][state] += 1
        if fate == "approve":
            assert state in {State.EXECUTED, State.IN_DOUBT}, (name, state)
            assert rows == 1 if state == State.EXECUTED else rows <= 1, (name, state, rows)
        else:
            assert state == State.DENIED if fate == "deny" else state in {State.EXPIRED, State.REFUSED}, (name, state)
            assert rows == 0, (name, state, rows)
    print(f"kills {kills}, ends {counts}")  # noqa: T201 - how hard it was
    assert counts["approve"][State.EXECUTED] > 0


def wait_for_state(bench: GateBench, request: str) -> str:
    deadline = time.monotonic() + SECONDS
    while not (record := bench.record(request)):
        assert time.monotonic() < deadline, request
        time.sleep(0.2)
    return str(record["state"])
