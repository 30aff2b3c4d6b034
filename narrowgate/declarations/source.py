"""Reads one YAML file into plain values that still know their places, within bounds that no file can exceed.

Only what declarations need is accepted: mappings with text keys, sequences, and the scalars of YAML 1.2's core
schema. Aliases, anchors, tags, duplicate keys, several documents, other encodings than UTF-8, large or deep files
are errors with a place. This module must not know what a declaration means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from narrowgate.declarations.errors import DeclarationError
from narrowgate.errors import Location

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 24
MAX_VALUES: Final = 20_000

KeyPath = tuple[str | int, ...]

# C0 and C1 controls but tab and line feed, and halves of surrogate pairs, which no encoding can write.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(slots=True)
class _Places:
    """Where each key and each value of a file stands: line and column, from 1."""

    keys: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    values: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Source:
    """One file's `value`; `text` is kept to tell where each key and each value of it stands.

    Places are found by reading the text again, when the first one is asked for: most files have no mistake, and ten
    thousand files' places would be most of the memory.
    """

    path: Path
    text: str
    value: Any
    _places: _Places | None = field(default=None, repr=False, compare=False)

    def locate(self, key_path: KeyPath, *, key: bool = False) -> Location:
        """Return where `key_path` stands (its key if `key`); a path not in the file gives its nearest parent."""
        found = self._find_places()
        first, second = (found.keys, found.values) if key else (found.values, found.keys)
        while True:
            for places in (first, second):
                if key_path in places:
                    return Location(self.path, *places[key_path])
            if not key_path:
                return Location(self.path, 1, 1)
            key_path = key_path[:-1]

    def holds(self, key_path: KeyPath) -> bool:
        """Return whether something stands at `key_path`."""
        return key_path in self._find_places().values

    def _find_places(self) -> _Places:
        if self._places is None:
            self._places = _Places()
            _read(self.text, self.path, self._places)
        return self._places

    def error(
        self, message: str, key_path: KeyPath, code: str, hint: str | None = None, *, key: bool = False
    ) -> DeclarationError:
        """Return an error at the place of `key_path`."""
        return DeclarationError(message, self.locate(key_path, key=key), code, hint)


def read_source(path: Path, inside: Path | None = None) -> Source:
    """Read the YAML file at `path`; raise `DeclarationError` for what is no acceptable YAML.

    With `inside`, a file that really lies elsewhere (a symbolic link) is refused.
    """
    start = Location(path, 1, 1)
    if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
        raise DeclarationError(
            f"{path.name} leads out of {inside}", start, "outside-folder", "replace the link by the file itself"
        )
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DeclarationError(f"cannot be read: {reason}", start, "unreadable") from error
    if len(data) > MAX_BYTES:
        raise DeclarationError(f"the file is larger than {MAX_BYTES} bytes", start, "too-large", "split it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise DeclarationError(
            "the file is not UTF-8", Location(path, line, column), "not-utf-8", "save it with the encoding UTF-8"
        ) from error
    return parse_source(text, path)


def parse_source(text: str, path: Path) -> Source:
    """Parse YAML `text` that stands at `path`; raise `DeclarationError` at the place that is wrong."""
    return Source(path, text, _read(text, path, None))


def _read(text: str, path: Path, places: _Places | None) -> Any:  # noqa: ANN401 - any YAML value
    """Return the value of `text`; note in `places`, if given, where everything stands."""
    reader = _Reader(path, places)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            reader.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(path, mark.line + 1, mark.column + 1) if mark is not None else Location(path, 1, 1)
        raise DeclarationError(f"not valid YAML: {error.problem or error.context}", place, "yaml-syntax") from error
    except YAMLError as error:
        summary = " ".join(str(error).split())
        raise DeclarationError(f"not valid YAML: {summary}", Location(path, 1, 1), "yaml-syntax") from error
    return reader.value


@dataclass(slots=True)
class _Frame:
    """An open mapping or sequence: its path, its container, and the key that waits for its value."""

    path: KeyPath
    container: dict[str, Any] | list[Any]
    pending: str | None = None

    def child_path(self) -> KeyPath:
        """Return the path of the value that comes next."""
        if isinstance(self.container, list):
            return (*self.path, len(self.container))
        return (*self.path, self.pending or "")

    def add(self, value: Any) -> None:  # noqa: ANN401 - any YAML value
        """Put `value` in its place."""
        if isinstance(self.container, list):
            self.container.append(value)
        else:
            self.container[self.pending or ""] = value
            self.pending = None


@dataclass(slots=True)
class _Reader:
    """Builds the value from parser events; holds no more than the bounds allow."""

    path: Path
    places: _Places | None
    value: Any = None
    count: int = 0
    stack: list[_Frame] = field(default_factory=list)
    documents: int = 0

    def take(self, event: Event) -> None:
        """Take one event of the parser."""
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self.stack.pop()
            return
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self._error("a file holds one document", event, "several-documents", "split the file")
            return
        if isinstance(event, AliasEvent):
            raise self._error("aliases (`*name`) are not accepted", event, "yaml-alias", "write the value out")
        if not isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)):
            return
        if event.anchor is not None:
            raise self._error("anchors (`&name`) are not accepted", event, "yaml-alias", "write the value out")
        if event.tag is not None:
            raise self._error(f"tags (`{event.tag}`) are not accepted", event, "yaml-tag", "remove the tag")
        self._place(event)

    def _place(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.pending is None:
            self._take_key(frame, event)
            return
        key_path = frame.child_path() if frame is not None else ()
        if self.places is not None:
            self.places.values[key_path] = _place_of(event)
        self.count += 1
        if self.count > MAX_VALUES:
            raise self._error(f"more than {MAX_VALUES} values", event, "too-large", "split the file")
        value: Any
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
        else:
            value = {} if isinstance(event, MappingStartEvent) else []
        if frame is None:
            self.value = value
        else:
            frame.add(value)
        if not isinstance(event, ScalarEvent):
            if len(self.stack) >= MAX_DEPTH:
                raise self._error(f"nested deeper than {MAX_DEPTH}", event, "too-deep")
            self.stack.append(_Frame(key_path, value))

    def _take_key(self, frame: _Frame, event: Event) -> None:
        key = self._scalar(event) if isinstance(event, ScalarEvent) else None
        if not isinstance(key, str) or not isinstance(frame.container, dict):
            raise self._error("a key must be text", event, "key-not-text", "quote it")
        if key in frame.container:
            raise self._error(f"the key `{key}` stands here twice", event, "duplicate-key", "remove one of the two")
        if self.places is not None:
            self.places.keys[*frame.path, key] = _place_of(event)
        frame.pending = key

    def _scalar(self, event: ScalarEvent) -> str | int | float | bool | None:
        text = str(event.value)
        if _UNPRINTABLE.search(text):
            raise self._error("the text holds a control character", event, "control-character", "remove it")
        if event.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            if len(text) > 18:  # noqa: PLR2004 - a 64-bit integer at most
                raise self._error("the number is too long", event, "number-too-long", "quote it if it is a name")
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _error(self, message: str, event: Event, code: str, hint: str | None = None) -> DeclarationError:
        return DeclarationError(message, Location(self.path, *_place_of(event)), code, hint)


def _place_of(event: Event) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
