"""Reads what a deploy exported: a JSON object with a version, from a file or as it is.

Unknown keys are the reader's to ignore, so that a newer deploy may add some; a newer version is refused here. This
module must not know what any of these documents is for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.errors import NarrowgateError


def load_object(path: Path, what: str, error: type[NarrowgateError]) -> Mapping[str, Any]:
    """Return the JSON object in the file at `path`; `what` names it (`The manifest`) in the `error` that is raised."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as failed:
        raise error(f"{what} {path} cannot be read: {failed.strerror}.") from None
    except ValueError:
        raise error(f"{what} {path} is not JSON.") from None
    if not isinstance(document, Mapping):
        raise error(f"{what} {path} is not a JSON object.")
    return document


def require_version(document: Mapping[str, Any], newest: int, what: str, error: type[NarrowgateError]) -> None:
    """Raise `error` unless `document` has a version from 1 to `newest`."""
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise error(f"{what} has no version.")
    if version > newest:
        raise error(f"{what} has version {version}; this library reads {newest}.", hint="Install a newer narrowgate.")
