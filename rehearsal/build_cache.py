"""Expensive results in the cache outside the checkout: made once, checked on every use, shared by checkouts.

A result is a folder whose content was recorded by its sha256 when it was made. One that is damaged is made again. A
file lock lets several checkouts ask at the same time. This module does not know what is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORD: Final = "sha256"
PRIVATE: Final = 0o700


def file_sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ensure_cached(
    folder: Path, product: str, make: Callable[[Path], None], report: Callable[[str], None]
) -> tuple[Path, str]:
    """Return the file `product` in `folder` and its sha256; `make` makes it where it is missing or damaged.

    `make` gets an empty work folder and leaves `work/product` in it; all else in the work folder is thrown away. The
    result appears at once, so that a killed build leaves nothing that looks finished.
    """
    folder.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    with _locked(folder.with_name(f".{folder.name}.lock"), report):
        digest = _recorded(folder, product)
        if digest is None:
            if folder.exists():
                report(f"{folder / product} is damaged; it is made again")
            digest = _replace(folder, product, make)
    return folder / product, digest


def _recorded(folder: Path, product: str) -> str | None:
    """Return the recorded sha256, if the file still has it."""
    try:
        wanted = (folder / RECORD).read_text().strip()
        return wanted if file_sha256(folder / product) == wanted else None
    except OSError:
        return None


def _replace(folder: Path, product: str, make: Callable[[Path], None]) -> str:
    prefix = f".{folder.name}.build-"
    for left in folder.parent.glob(f"{prefix}*"):  # of a build that was killed: we hold the lock, so nobody uses it
        remove_tree(left)
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        make(work)
        fresh = work / "result"
        fresh.mkdir(mode=PRIVATE)
        (work / product).replace(fresh / product)
        digest = file_sha256(fresh / product)
        (fresh / RECORD).write_text(digest + "\n")
        if folder.exists():
            folder.replace(work / "damaged")
        fresh.replace(folder)
    finally:
        remove_tree(work)
    return digest


def remove_tree(folder: Path) -> None:
    """Delete `folder` and all in it, read-only folders too."""
    for parent, folders, _files in os.walk(folder):
        for name in folders:
            with contextlib.suppress(OSError):
                Path(parent, name).chmod(PRIVATE)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock `path`: it ends with this process, however that ends."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting: another checkout makes the same")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
