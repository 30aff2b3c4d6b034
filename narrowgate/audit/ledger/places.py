"""Where a ledger's file is: what is named, what NARROWGATE_LEDGER names, or its place in the user's state folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

LEDGER_VARIABLE: Final = "NARROWGATE_LEDGER"


def find_ledger_file(named: Path | str | None, environment: str, name: str) -> Path:
    """Return the file of `name`'s ledger: `named`, the one in the folder `named`, or the one in the state folder.

    A folder that is not there yet is told from a file by a slash at its end. NARROWGATE_LEDGER is not read here.
    """
    if named:
        is_folder = str(named).endswith("/") or Path(named).is_dir()
        return Path(named) / f"{name}.jsonl" if is_folder else Path(named)
    base = os.environ.get("XDG_STATE_HOME")
    folder = Path(base) if base else Path(os.environ.get("HOME") or Path.home()) / ".local" / "state"
    return folder / "narrowgate" / environment / f"{name}.jsonl"


def name_part(path: Path, number: int) -> Path:
    """Return where the sealed part `number` of the ledger at `path` stands: `ledger.000001.jsonl`, beside it."""
    return path.with_name(f"{path.stem}.{number:06d}{path.suffix}")


def list_parts(path: Path) -> list[Path]:
    """Return the files of the ledger at `path` in their order: the sealed ones that are there, then `path` itself."""
    pattern = re.compile(rf"{re.escape(path.stem)}\.([0-9]{{6,}}){re.escape(path.suffix)}")
    names = path.parent.iterdir() if path.parent.is_dir() else ()
    numbered = [(int(match[1]), name) for name in names if (match := pattern.fullmatch(name.name))]
    sealed = [part for _, part in sorted(numbered)]
    if sealed and path.exists() and sealed[-1].samefile(path):
        sealed.pop()  # it is about to be sealed
    return [*sealed, path]


def read_ledger_variable() -> str | None:
    """Return what NARROWGATE_LEDGER says, or None."""
    return os.environ.get(LEDGER_VARIABLE) or None
