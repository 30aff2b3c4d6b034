"""IAM's rules for names, which the real provider checks before it asks AWS.

Source: IAM API reference, CreateRole, CreateUser, CreateGroup, CreatePolicy, PutRolePolicy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rehearsal.doubles.resource import Failure
from rehearsal.doubles.wire import has_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rehearsal.doubles.wire import Values

NAME: Final = re.compile(r"[\w+=,.@-]+", re.ASCII)
PATH: Final = re.compile(r"/|/[\x21-\x7e]*/")
PATH_LENGTH: Final = 512


def name_check(longest: int) -> Callable[[Values], Iterable[Failure]]:
    """Return the check of a `name` of at most `longest` characters and of a `path`, where there is one."""

    def check(inputs: Values) -> Iterable[Failure]:
        name, path = inputs.get("name", "x"), inputs.get("path", "/")
        if not has_unknown(name) and (len(name) > longest or not NAME.fullmatch(name)):
            yield Failure("name", f"must have 1 to {longest} characters, each of letters, digits and _+=,.@-: {name!r}")
        if not has_unknown(path) and (len(path) > PATH_LENGTH or not PATH.fullmatch(path)):
            yield Failure("path", f"must begin and end with / and have at most {PATH_LENGTH} characters: {path!r}")

    return check
