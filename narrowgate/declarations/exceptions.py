"""Exceptions from rules, as a team declares them in `exceptions.yaml`: each with a reason, an owner and a last day.

They become part of the access plan, so they stand in the lock and show in the access diff. This module must not judge.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field

from narrowgate.access.exceptions import refuse_exception, today
from narrowgate.compile.backends.backend import Declared
from narrowgate.declarations.errors import DeclarationError
from narrowgate.declarations.models import Line, Name, Owner, Version  # noqa: TC001 - pydantic reads them at run time
from narrowgate.declarations.source import read_source
from narrowgate.declarations.validation import validate
from narrowgate.plan import RuleException

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from narrowgate.declarations.source import Source
    from narrowgate.errors import Location

FILE: Final = "exceptions.yaml"
MAX_DAYS: Final = 366
"""How far ahead an exception may end: whoever needs it longer asks again."""


def _check_date(value: str) -> str:
    try:
        dt.date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no date: write it as 2026-12-31") from error
    return value


Date = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_check_date)]
# The part of a URN behind stack and project: types and a name, without wildcards.
Address = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x20\x7f*?]+::[^\x00-\x1f\x7f*?]+$")]


class ExceptionDeclaration(Declared):
    """One resource that need not keep one rule, in one environment, for a time."""

    rule: Annotated[str, Field(max_length=100)]
    """The rule's name."""
    environment: Name
    """The environment in which it is excepted."""
    resource: Address
    """The resource as a violation names it: its URN without `urn:pulumi:<stack>::<project>::`."""
    reason: Line
    """Why it can't keep the rule."""
    owner: Owner
    """Who answers for it."""
    expires: Date
    """The last day on which it holds, as in 2026-12-31; a year ahead at most."""


class ExceptionsDeclaration(Declared):
    """All exceptions from rules: what `stacks/exceptions.yaml` holds. The file may be missing: then there are none."""

    version: Version = 1
    """The format's version."""
    exceptions: list[ExceptionDeclaration] = Field(default_factory=list)
    """The exceptions."""


@dataclass(frozen=True, slots=True)
class Exceptions:
    """The exceptions of all environments, and the mistakes in them; `rules` are all that they name, with places."""

    by_environment: tuple[tuple[str, RuleException], ...] = ()
    errors: tuple[DeclarationError, ...] = ()
    rules: tuple[tuple[str, Location], ...] = ()

    def of(self, environment: str) -> tuple[RuleException, ...]:
        """Return the exceptions of `environment`, sorted."""
        return tuple(sorted(exception for name, exception in self.by_environment if name == environment))


def read_exceptions(stacks_dir: Path, day: dt.date | None = None) -> Exceptions:
    """Read `exceptions.yaml` under `stacks_dir`; mistakes are kept, not raised. To have expired by `day` is one."""
    path = stacks_dir / FILE
    if not path.exists():
        return Exceptions()
    try:
        source = read_source(path, inside=stacks_dir)
    except DeclarationError as error:
        return Exceptions(errors=(error,))
    declared, errors = validate(ExceptionsDeclaration, source.value, source)
    if declared is None:
        return Exceptions(errors=tuple(errors))
    errors += _find_mistakes(declared, source, day or today())
    found = tuple(
        (each.environment, RuleException(each.rule, each.resource, each.reason, each.owner, each.expires))
        for each in declared.exceptions
    )
    rules = tuple(
        (each.rule, source.locate(("exceptions", index, "rule"))) for index, each in enumerate(declared.exceptions)
    )
    return Exceptions(found, tuple(errors), rules)


def _find_mistakes(declared: ExceptionsDeclaration, source: Source, day: dt.date) -> Iterator[DeclarationError]:
    seen: set[tuple[str, str, str]] = set()
    for index, each in enumerate(declared.exceptions):
        place = ("exceptions", index)
        key = (each.rule, each.environment, each.resource)
        if why := refuse_exception(each.rule, each.resource, each.environment):
            yield source.error(why, (*place, "rule"), "exception-refused", "mend the resource")
        if key in seen:
            yield source.error("this exception stands twice", place, "duplicate", "take one out")
        seen.add(key)
        ends = dt.date.fromisoformat(each.expires)
        if ends < day:
            hint = "mend the resource and take the exception out, or have a new date reviewed"
            yield source.error(f"the exception expired on {ends}", (*place, "expires"), "exception-expired", hint)
        elif (ends - day).days > MAX_DAYS:
            message = f"the exception ends more than {MAX_DAYS} days from now"
            yield source.error(message, (*place, "expires"), "bad-value", "choose an earlier day, and ask again then")
