"""Reads records out of files, one after the other, without holding a file that can be read by lines.

JSON Lines (ledger, Vault's audit log, the rehearsal's AWS calls) and CloudTrail's own files (`{"Records":[…]}`, also
.json.gz). A record comes as bytes without spaces between its tokens, so that a reader may look for a field's bytes
before it parses. This module must not know what a record means.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LINE_LIMIT: Final = 4 * 1024 * 1024
WHOLE_LIMIT: Final = 256 * 1024 * 1024
SUFFIXES: Final = (".jsonl", ".json", ".log", ".gz")
_NEXT: Final = b',{"eventVersion":'


class SourceError(NarrowgateError):
    """A source cannot be read, or is not what it was given as."""

    code = "source-unreadable"
    hint = "Give the ledger, Vault's audit log and CloudTrail's files by --ledger, --vault-audit and --cloudtrail."
    exit_code = 2


def list_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files that `paths` name, in order; a folder stands for all logs in it and below.

    Raises:
        SourceError: there is none at a path.

    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.is_file() and p.suffix in SUFFIXES)
        elif path.exists():
            found.append(path)
        else:
            raise SourceError(f"There is no file {path}.")
    return list(dict.fromkeys(found))


def read_raw(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each record of a file, as JSON without spaces, with its number from 1; a cut last line is left out.

    Raises:
        SourceError: the file cannot be read, or holds no records.

    """
    try:
        with _open(path) as file:
            first = file.readline(LINE_LIMIT)
            kind = _tell(first)
            if kind == "lines":
                yield from _read_lines(path, first, file)
            elif kind == "spaced":
                for number, line in _read_lines(path, first, file):
                    yield number, _compact(_parse(line, path, number))
            elif first.strip():
                yield from _read_whole(path, first, file)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb", buffering=1024 * 1024)


def _tell(first: bytes) -> str:
    """Return how a file that begins with the line `first` is written: `lines`, `spaced` lines, or as a `whole`."""
    if first.lstrip()[:12].replace(b" ", b"").startswith(b'{"Records"') or not first.endswith(b"\n"):
        return "whole"
    try:
        record = json.loads(first)
    except ValueError:
        return "whole"
    if not isinstance(record, dict):
        return "whole"
    return "lines" if first[:200].find(b'": ') < 0 and first[:200].find(b', "') < 0 else "spaced"


def _read_lines(path: Path, first: bytes, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number, line = 1, first
    while line:
        if not line.endswith(b"\n"):
            if len(line) >= LINE_LIMIT:
                raise SourceError(f"{path}:{number}: the line has more than {LINE_LIMIT} bytes.")
            return
        yield number, line
        number, line = number + 1, file.readline(LINE_LIMIT)


def _read_whole(path: Path, first: bytes, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the records of one JSON text; a compact one is cut at its records, so that few of them need parsing."""
    text = first + file.read(WHOLE_LIMIT)
    if len(text) > WHOLE_LIMIT:
        raise SourceError(f"{path} has more than {WHOLE_LIMIT} bytes in one JSON text.")
    start = b'{"Records":[{"eventVersion":'
    if text.startswith(start):
        # Quotes inside texts are escaped, so the mark stands between two records only, or begins a record in a record.
        pieces = text[len(start) :].rstrip().removesuffix(b"]}").split(_NEXT)
        if all(piece.endswith(b"}") and piece.count(b"{") + 1 == piece.count(b"}") for piece in pieces):
            for number, piece in enumerate(pieces, start=1):
                yield number, b'{"eventVersion":' + piece
            return
    value = _parse(text, path, 0)
    records = value.get("Records", [value]) if isinstance(value, dict) else value
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise SourceError(f"{path} holds no records.")
    for number, record in enumerate(records, start=1):
        yield number, _compact(record)


def _parse(text: bytes, path: Path, number: int) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except ValueError:
        place = f"{path}:{number}" if number else str(path)
        raise SourceError(f"{place} is not JSON.") from None


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


def parse_record(raw: bytes, path: Path, number: int) -> dict[str, Any]:
    """Return the record in `raw`; raise SourceError where it is none."""
    record = _parse(raw, path, number)
    if not isinstance(record, dict):
        raise SourceError(f"{path}:{number} is no record.")
    return record
