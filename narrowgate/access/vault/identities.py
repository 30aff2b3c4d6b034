"""The identities that templated policies can tell apart, one of each kind.

A templated path depends on the value that fills it. Two identities differ only if a value is there or not, equals
what stands at the same place of another path, or equals another value. Must not know what the paths grant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from narrowgate.access.vault.templates import BLOCKED, all_selectors, may_be_empty

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from narrowgate.access.vault.policy import Policy

_BOUND = 512
_DIRECTIVE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)


class TooManyIdentitiesError(Exception):
    """Too many kinds of identities to try, or a template of a kind that cannot be sorted into kinds."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A segment with one directive: the place, and the texts around the value."""

    selector: str
    leading: tuple[str, ...]
    before: str
    after: str

    @property
    def depth(self) -> int:
        """Return how many segments stand before this one."""
        return len(self.leading)


def identities(policies: Sequence[Policy], asked: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Yield one identity for each kind; just the empty one when no path is templated.

    `asked` are further patterns that the paths are looked at beside.

    Raises TooManyIdentitiesError.
    """
    selectors = all_selectors(policies)
    if any(name.startswith("time.") for name in selectors):
        raise TooManyIdentitiesError("a path depends on the time")
    values = _candidates(policies, selectors, asked)
    count = 1
    for name in selectors:
        count *= len(values[name])
    if count > _BOUND:
        raise TooManyIdentitiesError(f"the templates tell more than {_BOUND} kinds of identities apart")
    for chosen in product(*(values[name] for name in selectors)):
        yield {name: value for name, value in zip(selectors, chosen, strict=True) if value is not None}


def _candidates(
    policies: Sequence[Policy], selectors: Sequence[str], asked: Sequence[str]
) -> dict[str, list[str | None]]:
    written = [*asked, *(rule.path for policy in policies for rule in policy.rules)]
    fresh = {name: _fresh(index, written) for index, name in enumerate(selectors)}
    paths = [path.removeprefix("/") for path in written]
    slots = [slot for path in paths for slot in _slots(path, paths)]
    found: dict[str, dict[str | None, None]] = {name: {fresh[name]: None, None: None} for name in selectors}
    for slot in slots:
        for path in paths:
            for value in _coincidences(slot, path, fresh):
                if not BLOCKED & set(value):
                    found[slot.selector][value] = None
    for name in selectors:
        found[name].pop("", None)
        if may_be_empty(name):
            found[name][""] = None
    return {name: list(values) for name, values in found.items()}


def _fresh(index: int, paths: Sequence[str]) -> str:
    """Return a value that occurs in no path."""
    text = "\n".join(paths)
    value = f"identity-{index}"
    while value in text:
        value += "x"
    return value


def _slots(path: str, paths: Sequence[str]) -> Iterator[_Slot]:
    segments = _split(path)
    for depth, segment in enumerate(segments):
        directives = list(_DIRECTIVE.finditer(segment))
        if len(directives) == 1:
            match = directives[0]
            after = segment[match.end() :]
            yield _Slot(match.group(1), tuple(segments[:depth]), segment[: match.start()], after.removesuffix("*"))
        elif directives:
            for other in paths:
                parts = _split(other)
                if len(parts) > depth and parts[depth] not in (segment, "+"):
                    raise TooManyIdentitiesError(f"path {path!r} has two templates in one segment")


def _split(path: str) -> list[str]:
    """Split a path at its slashes, not at those within a directive."""
    parts = [""]
    for piece in re.split(r"(\{\{.*?\}\}|/)", path, flags=re.DOTALL):
        if piece == "/":
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _may_meet(leading: Sequence[str], parts: Sequence[str]) -> bool:
    """Tell whether the segments before a slot may be the same as those of another path."""
    return all(
        mine == theirs or "+" in (mine, theirs) or "{{" in mine or "{{" in theirs
        for mine, theirs in zip(leading, parts, strict=False)
    )


def _coincidences(slot: _Slot, path: str, fresh: dict[str, str]) -> Iterator[str]:
    """Yield the values that make the slot's segment equal, or begin with, what another path has in its place."""
    parts = _split(path)
    if len(parts) <= slot.depth or not _may_meet(slot.leading, parts):
        return
    is_start = path.endswith("*") and slot.depth == len(parts) - 1
    text = _DIRECTIVE.sub(lambda match: fresh.get(match.group(1), ""), parts[slot.depth])
    text = text.removesuffix("*") if is_start else text
    if not text.startswith(slot.before):
        return
    rest = text[len(slot.before) :]
    if slot.after and rest.endswith(slot.after):
        yield rest[: -len(slot.after)]
    elif not slot.after:
        yield rest
    if is_start and rest:
        yield rest + fresh[slot.selector]
        if slot.after:
            yield from (rest[:end] for end in range(1, len(rest) + 1))
