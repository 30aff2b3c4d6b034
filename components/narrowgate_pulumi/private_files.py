"""Reads a file that holds a secret, as its owner alone may. No error here may hold anything of what is in it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.errors import NarrowgateError

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_private_file(file: Path, what: str, error: type[NarrowgateError]) -> str:
    """Return the text of `file`; raise `error`, which calls it `what`, where it can't be read or where others can."""
    try:
        if file.stat().st_mode & OTHERS:
            raise error(f"{what} {file} can be read by others than its owner")
        return file.read_text(encoding="utf-8")
    except OSError as cause:
        raise error(f"{what} {file} cannot be read: {cause.strerror}") from None
    except UnicodeDecodeError:
        raise error(f"{what} {file} is no text in UTF-8") from None
