"""Rehearsals for tests: each worker that needs one starts its own, and ends every process of it at the end.

`rehearsal` is the whole system deployed to dev, from a copy of `stacks` that tests may edit; `both` is dev and prod;
`servers` is the servers of dev only; `bench` is a deployed gate with more actions than the checkout declares.
The tests of one file run in one worker, one after the other; files share what a worker has. So whoever breaks something
must mend it.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from narrowgate.access.lock import lock_file
from narrowgate.audit.drift.expected import Expected
from narrowgate.declarations import load_environment
from rehearsal.layout import CHECKOUT
from rehearsal.live import open_rehearsal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate_bench import GateBench

    from rehearsal.live import LiveRehearsal

SHARED = ("rehearsal", "servers", "both", "bench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(_is_ours(item, fixture) for fixture in SHARED):
            item.add_marker(pytest.mark.rehearsal)


def _is_ours(item: pytest.Item, fixture: str) -> bool:
    """Say whether the test uses this module's `fixture`, and not one of its own that is called the same."""
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs.get(fixture, ())  # noqa: B009 - not public
    return bool(definitions) and definitions[-1].func.__module__ == __name__


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRehearsal]:
    with open_rehearsal(tmp_path_factory.mktemp("servers") / "state", deployed=False) as live:
        yield live


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRehearsal]:
    folder = tmp_path_factory.mktemp("rehearsal")
    stacks = folder / "stacks"
    shutil.copytree(CHECKOUT / "stacks", stacks, ignore=shutil.ignore_patterns("__pycache__"))
    with open_rehearsal(folder / "state", stacks=stacks) as live:
        yield live


@pytest.fixture(scope="module")
def expected(rehearsal: LiveRehearsal) -> Expected:
    """Give what must stand in dev, as its bindings and its lock say."""
    environment = load_environment(rehearsal.layout.project, "dev")
    return Expected.read(environment, lock_file(rehearsal.layout.stacks, "dev"))


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRehearsal]:
    """Give dev and prod, both deployed, seen from dev."""
    with open_rehearsal(tmp_path_factory.mktemp("both") / "state", environments=("dev", "prod")) as live:
        yield live


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateBench]:
    """Give the deployed gate of dev, with a few actions more than the checkout declares."""
    from gate_bench import build_bench, prepare_stacks

    folder = tmp_path_factory.mktemp("gate")
    stacks = folder / "stacks"
    shutil.copytree(CHECKOUT / "stacks", stacks, ignore=shutil.ignore_patterns("__pycache__"))
    prepare_stacks(stacks)
    with open_rehearsal(folder / "state", stacks=stacks) as live:
        yield build_bench(live)
