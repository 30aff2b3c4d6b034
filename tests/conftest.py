"""Options and fixtures of all tests: golden files, and a copy of the committed declarations to edit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
# Two busy cores make any single example slow; a hanging one ends with the test run.
settings.register_profile("narrowgate", deadline=None)
settings.load_profile("narrowgate")

GOLDEN = ROOT / "tests" / "golden" / "files"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files from what the code makes now; review the diff",
    )


@pytest.fixture(scope="session", autouse=True)
def _state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the ledgers of tests' agents out of the user's own state folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state-home")))
        patch.delenv("NARROWGATE_LEDGER", raising=False)
        yield


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that compares a text with the golden file of a name (a path below tests/golden/files)."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.is_file(), f"no golden file {path}: run pytest --update-golden, and review what it writes"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs: pytest --update-golden, and review the diff"

    return compare


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """Return a copy of the committed declarations that a test may edit, as they were before anything was promoted."""
    folder = tmp_path / "stacks"
    ignored = shutil.ignore_patterns("__pycache__", "Pulumi.prod*.yaml", "prod.yaml")
    shutil.copytree(ROOT / "stacks", folder, ignore=ignored)
    for path in (folder / "workflows").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("environments: [dev, prod]", "environments: [dev]"), encoding="utf-8")
    return folder


@pytest.fixture
def edit(stacks: Path) -> Callable[[str, str, str], None]:
    """Return a function that replaces one text, which must stand there once, in a file of `stacks`."""

    def replace(name: str, old: str, new: str) -> None:
        path = stacks / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    return replace
