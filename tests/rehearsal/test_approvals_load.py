"""Three hundred requests, three executors, and somebody who kills executors and Vault: nothing twice, nothing lost.

The database's own protection (each digest once, each name once) is taken away first, so that its rows tell what the
gate alone let through. NARROWGATE_LOAD_SEED chooses what is killed when, and what becomes of each request.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hvac.exceptions
import psutil
import pytest
import requests
from gate_bench import MOUNTS, WORKFLOW
from gate_cli import COMMAND, executor_environment

from narrowgate.approvals.errors import (
    DecidedError,
    LoginError,
    NotAllowedError,
    NotFoundError,
    VaultDownError,
    VaultRefusedError,
)
from narrowgate.audit.anchors import VaultReader
from narrowgate.audit.ledger.verify import verify_ledger
from narrowgate.runtime.proposals import make_request_id
from rehearsal import bao, postgres

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
REPLICAS = 3
SECONDS = 900
PEOPLE = 4
VAULT_SHARE = 0.3
# fate: how many of a hundred, the action, who approves, how it may end
FATES: dict[str, tuple[int, str, tuple[str, ...], frozenset[str]]] = {
    "approved": (50, "create", ("ann",), frozenset({"executed", "in-doubt"})),
    "approved by two": (10, "create-by-two", ("ann", "bob"), frozenset({"executed", "in-doubt", "expired", "refused"})),
    "approved late": (8, "create-soon", ("bob",), frozenset({"executed", "in-doubt", "expired", "refused"})),
    "denied": (12, "create", (), frozenset({"denied"})),
    "left": (10, "create-soon", (), frozenset({"expired", "refused"})),
    "approved by its requester": (5, "create-soon", ("vera",), frozenset({"expired", "refused"})),
    "no draft": (5, "create", (), frozenset({"refused"})),
}
# What passes by itself: Vault is away, forgot a login with its connection, or has no case yet.
PASSING = (
    VaultDownError,
    VaultRefusedError,
    LoginError,
    NotFoundError,
    requests.RequestException,
    hvac.exceptions.VaultError,
)
CONSTRAINTS = {
    "executed_requests": ("executed_requests_pkey", "PRIMARY KEY (digest)"),
    "vendors": ("vendors_tenant_name_key", "UNIQUE (tenant, name)"),
}


@dataclass(frozen=True)
class Wish:
    """One request as the test means it: for which `user`, and what shall become of it."""

    number: int
    seed: int
    fate: str
    user: str

    @property
    def name(self) -> str:
        return f"Load {self.seed} {self.number} Oy"

    @property
    def key(self) -> str:
        return f"vendors.{FATES[self.fate][1]}.load-{self.seed}-{self.number}"


class Crew:
    """Three executors, each with a ledger of its own, and who kills one or Vault now and then, until `calm`."""

    def __init__(self, bench: GateBench, folder: Path, seed: int) -> None:
        self.bench, self.folder = bench, folder
        self.random = random.Random(seed)  # noqa: S311 - chooses victims
        self.kills: Counter[str] = Counter()
        self.ended_alone: list[int] = []
        self.errors: list[BaseException] = []
        self.homes = [folder / f"replica-{number}" for number in range(REPLICAS)]
        for home in self.homes:
            home.mkdir()
        self.running = [self._launch(home) for home in self.homes]
        self._calm = threading.Event()
        self._killer = threading.Thread(target=self._kill)
        self._killer.start()

    @property
    def ledgers(self) -> list[Path]:
        return [home / "ledger.jsonl" for home in self.homes]

    def _launch(self, home: Path) -> subprocess.Popen[bytes]:
        env = {**executor_environment(self.bench, home), "NARROWGATE_LEDGER": str(home / "ledger.jsonl")}
        command = [*COMMAND, "executor", "run", "--tool", "vendors", "--every", "0.5"]
        with (home / "log").open("ab") as log:
            return subprocess.Popen(command, env=env, stderr=log)

    def _kill(self) -> None:
        try:
            while not self._calm.wait(self.random.uniform(3, 7)):
                if self.random.random() < VAULT_SHARE:
                    self._kill_vault()
                else:
                    self._kill_executor(self.random.randrange(REPLICAS))
        except BaseException as error:  # noqa: BLE001 - the test raises it
            self.errors.append(error)

    def _kill_vault(self) -> None:
        process = self.bench.live.process(bao.NAME)
        assert process is not None
        family = [*process.children(recursive=True), process]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=30)
        self._calm.wait(self.random.uniform(0, 2))
        bao.start_bao(self.bench.live.layout)
        self.kills["vault"] += 1

    def _kill_executor(self, number: int) -> None:
        victim = self.running[number]
        if (code := victim.poll()) is not None:
            self.ended_alone.append(code)
        victim.kill()
        victim.wait()
        self.running[number] = self._launch(self.homes[number])
        self.kills["executor"] += 1

    def calm(self) -> None:
        self._calm.set()
        self._killer.join()
        assert not self.errors

    def end(self) -> list[int]:
        self._calm.set()
        self._killer.join()
        for process in self.running:
            process.terminate()
        return [process.wait(60) for process in self.running]


@pytest.fixture
def unprotected(bench: GateBench) -> Iterator[None]:
    """Let the database take a second row of the same request."""
    with bench.live.postgres(postgres.SUPERUSER) as connection:
        for table, (name, _) in CONSTRAINTS.items():
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")  # type: ignore[call-overload]
    yield
    with bench.live.postgres(postgres.SUPERUSER) as connection:
        for table, (name, rule) in CONSTRAINTS.items():
            connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule}")  # type: ignore[call-overload]


def insist(step: Callable[[], Any]) -> Any:  # noqa: ANN401 - the step's
    """Do `step` until Vault is up for it, and there is a case."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return step()
        except PASSING:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.3)


def propose(bench: GateBench, wish: Wish) -> str:
    """Draft a wish, once however often it is sent, and return the request id."""
    vault, entity = bench.agent(wish.user)
    path = f"{WORKFLOW}/{entity}/{wish.key}"
    inputs = {"name": wish.name, "country": "FI", "bank_account": "FI00 1234"}
    rationale = " " if wish.fate == "no draft" else "Its papers are complete."
    action = f"vendors.{FATES[wish.fate][1]}"
    data = {"version": 1, "action": action, "inputs": inputs, "rationale": rationale}
    with vault, contextlib.suppress(VaultRefusedError):  # it may stand already, which the agent cannot read
        vault.create_entry(MOUNTS["drafts"], path, data)
    if bench.root.read(f"{MOUNTS['drafts']}/data/{path}") is None:
        raise VaultDownError("The draft is not there.")
    return make_request_id(WORKFLOW, entity, wish.key)


def decide(bench: GateBench, wish: Wish, request: str) -> None:
    """Do what people do about a wish; what is over already needs nobody."""
    people = FATES[wish.fate][2]
    # Where an answer was lost, the decision may stand, and the request be over, when it is given again.
    if wish.fate == "denied":
        with contextlib.suppress(DecidedError):
            insist(lambda: bench.deny("ann", request))
    for person in people:
        own = (DecidedError, NotAllowedError) if person == wish.user else DecidedError
        with contextlib.suppress(own):
            insist(lambda person=person: decide_unless_over(bench, person, request))


def decide_unless_over(bench: GateBench, person: str, request: str) -> None:
    """Approve a request, unless it ended without a case."""
    try:
        bench.approve(person, request)
    except NotFoundError:
        if not bench.record(request):
            raise


def choose_wishes(seed: int) -> list[Wish]:
    chooser = random.Random(seed)  # noqa: S311 - as above
    fates = chooser.choices(list(FATES), [share for share, *_ in FATES.values()], k=REQUESTS)
    users = [chooser.choice(["vera", "vito", "vlad"]) for _ in fates]
    return [
        Wish(number, seed, fate, "vera" if fate == "approved by its requester" else user)
        for number, (fate, user) in enumerate(zip(fates, users, strict=True))
    ]


def wait_for_record(bench: GateBench, request: str) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while not (record := insist(lambda: bench.record(request))):
        assert time.monotonic() < deadline, request
        time.sleep(0.2)
    return dict(record)


def count_rows(bench: GateBench) -> tuple[Counter[str], Counter[str]]:
    """Return how many rows there are of each vendor's name, and of each digest."""
    with bench.live.postgres(postgres.SUPERUSER) as connection:
        names = connection.execute("SELECT name FROM vendors").fetchall()
        digests = connection.execute("SELECT digest FROM executed_requests").fetchall()
    return Counter(str(row[0]) for row in names), Counter(str(row[0]) for row in digests)


@pytest.mark.usefixtures("unprotected")
def test_every_approved_request_is_executed_once_or_in_doubt_and_no_other_ever(
    bench: GateBench, tmp_path: Path
) -> None:
    seed = int(os.environ.get("NARROWGATE_LOAD_SEED") or 1)
    print(f"NARROWGATE_LOAD_SEED={seed}")  # noqa: T201 - a failure is tried again with it
    wishes = choose_wishes(seed)
    crew = Crew(bench, tmp_path, seed)
    try:
        with ThreadPoolExecutor(PEOPLE) as people:
            proposed = list(people.map(lambda wish: insist(lambda: propose(bench, wish)), wishes))
            list(people.map(lambda wish, request: decide(bench, wish, request), wishes, proposed))
        crew.calm()
        records = [wait_for_record(bench, request) for request in proposed]
    finally:
        codes = crew.end()
    ends = Counter((wish.fate, str(record["state"])) for wish, record in zip(wishes, records, strict=True))
    print(f"kills {dict(crew.kills)}, ends {dict(ends)}, ended alone {crew.ended_alone}")  # noqa: T201 - how hard it was
    names, digests = count_rows(bench)
    for wish, request, record in zip(wishes, proposed, records, strict=True):
        state, rows = str(record["state"]), (names[wish.name], digests[str(record["digest"])])
        told = (wish.fate, request, state, record["words"], rows)
        assert state in FATES[wish.fate][3], told
        if state == "in-doubt":
            assert rows in {(0, 0), (1, 1)}, told
        else:
            assert rows == ((1, 1) if state == "executed" else (0, 0)), told
    assert crew.kills["executor"] > 0
    assert crew.kills["vault"] > 0
    assert ends["approved", "executed"] > 0
    assert (codes, crew.ended_alone) == ([0] * REPLICAS, [])
    check_ledgers(
        bench, crew, {r for r, record in zip(proposed, records, strict=True) if record["state"] == "executed"}
    )


def check_ledgers(bench: GateBench, crew: Crew, executed: set[str]) -> None:
    """Each execution was recorded before it, in a ledger that Vault vouches for."""
    begun: set[str] = set()
    reader = VaultReader(bench.root)
    anchors, keys = reader.read_anchors("executor.vendors").anchors, reader.read_keys(["executor.vendors"])
    for ledger in crew.ledgers:
        lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        begun |= {record["case_id"] for record in lines if record["kind"] == "begin"}
        with ledger.open("rb") as file:
            assert verify_ledger(file, str(ledger), anchors=anchors, check_signature=keys).problems == []
    assert executed <= begun
