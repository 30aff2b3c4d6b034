"""Finds the records that belong to one question, in files too large to be parsed whole.

Each pass looks at every line's bytes: for the question's own words, and for a few fields whose values are known to
belong. Only lines that have one are parsed. What they name (credential, login, proposal) is looked for in the next
pass, until nothing new is named; CloudTrail, the largest source, is passed once more only then. Memory holds what was
found. Logins of executors and approvers serve many requests, so nothing is joined by them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from narrowgate.audit.trace.events import Event, Source, format_moment, read_event
from narrowgate.audit.trace.sources import SourceError, list_files, parse_record, read_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

ROUNDS: Final = 8
# The fields by whose values records of each source are joined, as their bytes stand in a line.
FIELDS: Final = {
    Source.LEDGER: (b'"lease":{"id":"', b'"access_key_id":"', b'"accessor_of_login":"', b'"case_id":"'),
    Source.VAULT: (b'"accessor":"', b'"lease_id":"', b'"access_key":"'),
    Source.CLOUDTRAIL: (b'"accessKeyId":"',),
}
MARKS: Final = {Source.VAULT: b'"type":"response"'}  # its requests say nothing more
RECORD_ID: Final = re.compile(r"([0-9a-f-]{36}):([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: everything about one `id`, or what was done by a workflow, for a user, since a time (RFC 3339).

    An id is a request's, a lease's, an access key's, a session's name, a login's accessor, a proposal's, or a ledger
    record's (`<ledger>:<number>`, or a call's own id).
    """

    id: str | None = None
    workflow: str | None = None
    user: str | None = None
    since: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """The files to read; a folder stands for all logs in it. A source without paths was not given."""

    ledgers: tuple[Path, ...] = ()
    vault: tuple[Path, ...] = ()
    cloudtrail: tuple[Path, ...] = ()

    def files(self, source: Source) -> list[Path]:
        """Return the files of one source. Raises SourceError."""
        paths = {Source.LEDGER: self.ledgers, Source.VAULT: self.vault, Source.CLOUDTRAIL: self.cloudtrail}
        return list_files(paths[source])

    @property
    def given(self) -> frozenset[Source]:
        """Return which sources there are."""
        named = ((Source.LEDGER, self.ledgers), (Source.VAULT, self.vault), (Source.CLOUDTRAIL, self.cloudtrail))
        return frozenset(source for source, paths in named if paths)


@dataclass(slots=True)
class Found:
    """What a search found, how many records each file has, and the first and last time of each source."""

    question: Question
    given: frozenset[Source]
    events: list[Event] = field(default_factory=list)
    files: dict[Source, dict[str, int]] = field(default_factory=dict)
    periods: dict[Source, tuple[str, str]] = field(default_factory=dict)


def search(sources: Sources, question: Question, note: Callable[[str], None] = lambda _: None) -> Found:
    """Return every event that belongs to `question`; `note` is told what is being read.

    Raises:
        SourceError: a source cannot be read, or nothing was asked.

    """
    if not (question.id or question.workflow or question.user):
        raise SourceError("What is to be traced?", hint="Give an ID, or --workflow, or --user.")
    if not sources.given:
        raise SourceError("There is no source to read.")
    return _Search(sources, question, note).run()


class _Search:
    def __init__(self, sources: Sources, question: Question, note: Callable[[str], None]) -> None:
        self._files = {source: sources.files(source) for source in Source}
        self._question = question
        self._note = note
        self._found = Found(question, sources.given)
        self._taken: dict[tuple[Source, str], Event] = {}
        self._known: set[str] = set()
        self._cases: set[str] = set()

    def run(self) -> Found:
        words = _needles(self._question)
        self._follow(self._pass((Source.LEDGER, Source.VAULT), words, frozenset()))
        fresh = self._pass((Source.CLOUDTRAIL,), words, frozenset(self._known))
        if fresh:
            before = len(self._known)
            self._follow(fresh)
            if len(self._known) > before:
                self._pass((Source.CLOUDTRAIL,), {}, frozenset(self._known))
        self._found.events = sorted(self._taken.values(), key=lambda event: (event.time, event.place))
        return self._found

    def _follow(self, fresh: frozenset[str]) -> None:
        """Look in ledgers and Vault's log for what was named, until nothing new is."""
        for _ in range(ROUNDS):
            if not fresh:
                return
            fresh = self._pass((Source.LEDGER, Source.VAULT), _case_needles(fresh & self._cases), fresh)

    def _pass(
        self, which: Sequence[Source], words: Mapping[Source, tuple[bytes, ...]], values: frozenset[str]
    ) -> frozenset[str]:
        """Read sources once, and return what the events taken now name that was not known before."""
        named: set[str] = set()
        wanted = frozenset(value.encode() for value in values)
        for source in which:
            needles = words.get(source, ())
            if needles or wanted:
                for path in self._files[source]:
                    self._note(f"reading {path}")
                    named |= self._read(source, path, needles, wanted)
        fresh = frozenset(named - self._known)
        self._known |= fresh
        return fresh

    def _read(self, source: Source, path: Path, needles: tuple[bytes, ...], wanted: frozenset[bytes]) -> set[str]:
        named: set[str] = set()
        fields, mark = FIELDS[source], MARKS.get(source, b"")
        count, first, line = 0, b"", b""
        for number, line in read_raw(path):
            if not count:
                first = line
                if source is Source.LEDGER and not _is_ledger(line, self._question):
                    needles = ()
            count += 1
            if mark and mark not in line[:160]:
                continue
            for needle in needles:
                if needle in line:
                    break
            else:
                if not (wanted and _has(line, fields, wanted)):
                    continue
            place = f"{path}:{number}"
            if (source, place) not in self._taken:
                event = read_event(source, parse_record(line, path, number), place)
                if event is not None and self._belongs(event):
                    self._taken[source, place] = event
                    self._cases |= {event.case} - {""}
                    named |= _names(event)
        self._tell(source, path, count, first, line)
        return named

    def _belongs(self, event: Event) -> bool:
        """Tell whether an event whose line has the right bytes is of what was asked for, too."""
        asked = self._question
        if event.case and event.case in self._cases:
            return True
        if event.kind in {"case", "decision", "record"}:
            return event.case == asked.id or (asked.user is None and event.workflow == asked.workflow)
        if asked.id:
            return event.kind != "draft" or event.case == asked.id or event.accessor in {asked.id, *self._known}
        known = {event.lease, event.access_key, event.accessor} & self._known
        return bool(known) or (
            (not asked.workflow or event.workflow == asked.workflow)
            and (not asked.user or event.user == asked.user or event.source is Source.CLOUDTRAIL)
        )

    def _tell(self, source: Source, path: Path, count: int, first: bytes, last: bytes) -> None:
        """Note how much a source holds and which time it covers."""
        self._found.files.setdefault(source, {})[str(path)] = count
        times = [time for line in (first, last) if line and (time := read_time(line))]
        if times:
            low, high = self._found.periods.get(source, (times[0], times[0]))
            self._found.periods[source] = (min(low, *times), max(high, *times))


def _has(line: bytes, fields: Iterable[bytes], wanted: frozenset[bytes]) -> bool:
    """Tell whether one of `fields` has a wanted value in `line`, wherever it stands."""
    for name in fields:
        start = line.find(name)
        while start >= 0:
            start += len(name)
            if line[start : line.find(b'"', start)] in wanted:
                return True
            start = line.find(name, start)
    return False


def _is_ledger(first: bytes, question: Question) -> bool:
    """Tell whether a file that begins with the record `first` may hold the one that is asked for by its number."""
    record = RECORD_ID.fullmatch(question.id or "")
    return record is None or f'"ledger":"{record[1]}"'.encode() in first


def _case_needles(cases: Iterable[str]) -> dict[Source, tuple[bytes, ...]]:
    """Return what stands in the paths of requests' entries in Vault; a draft's path tells its request once parsed."""
    needles: list[bytes] = []
    for case in cases:
        workflow, _, key = case.partition(".")
        if key:
            needles += [f"/data/{workflow}/{key}".encode(), f"drafts/data/{workflow}/".encode()]
    return {Source.VAULT: tuple(needles)}


def _names(event: Event) -> set[str]:
    """Return by what other records of the same doing are found."""
    names = {event.lease, event.case}
    if event.source is not Source.CLOUDTRAIL or event.session:
        names.add(event.access_key)
    if event.source is Source.LEDGER or (event.workflow and event.kind in {"login", "lease", "draft"}):
        names.add(event.accessor if not event.gated else "")
    return names - {""}


def read_time(line: bytes) -> str:
    """Return the time that a record's line tells, without parsing it; an empty text for none."""
    for name in (b'"time":"', b'"eventTime":"'):
        start = line.find(name)
        if start >= 0:
            start += len(name)
            return format_moment(line[start : line.find(b'"', start)].decode("ascii", "replace"))
    return ""


def _needles(question: Question) -> dict[Source, tuple[bytes, ...]]:
    """Return what stands in every line that the question itself names."""
    record = RECORD_ID.fullmatch(question.id or "")
    if record:
        return {Source.LEDGER: (f'{{"version":1,"seq":{record[2]},'.encode(),)}
    if question.id:
        text = json.dumps(question.id, ensure_ascii=False)[1:-1].encode()
        return {**dict.fromkeys(Source, (text,)), Source.VAULT: (text, *_case_needles([question.id])[Source.VAULT])}
    workflow, user = question.workflow or "", question.user or ""
    name = f'"workflow":"{workflow}"' if workflow else f'"user":{json.dumps(user, ensure_ascii=False)}'
    return {
        Source.LEDGER: (name.encode(),),
        Source.VAULT: ((f'"agent.{workflow}"' if workflow else f'-{user}"').encode(),),
        Source.CLOUDTRAIL: ((f"/{workflow}.".encode(),) if workflow else ()),
    }
