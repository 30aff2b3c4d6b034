"""Writes files that only their owner can read, each at once as a whole. It must not know what stands in them."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from narrowgate.runtime.errors import AgentError

PRIVATE_FOLDER = 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class PrivateFileError(AgentError):
    """A file for a credential cannot be written, or would not be private."""

    code = "file-not-private"
    hint = "Name a folder of your own that nobody else can enter (mode 700)."


def open_folder(folder: Path) -> Path:
    """Return `folder`, made where it is missing.

    Raises:
        PrivateFileError: it cannot be made, belongs to somebody else, or others may enter it.

    """
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise PrivateFileError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    if found.st_uid != os.geteuid():
        raise PrivateFileError(f"The folder {folder} belongs to somebody else.")
    if found.st_mode & OTHERS:
        raise PrivateFileError(f"Others may enter the folder {folder}.")
    return folder.absolute()


def write_file(path: Path, text: str) -> Path:
    """Write `text` to `path`, readable by its owner only; a reader sees the old text or the new one, never a part.

    Raises:
        PrivateFileError: it cannot be written.

    """
    try:
        handle, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(staged).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(staged).unlink()
            raise
    except OSError as error:
        raise PrivateFileError(f"The file {path} cannot be written: {error.strerror}.") from None
    return path
