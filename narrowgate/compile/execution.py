"""What every shape of `execute` brings: its own checks, and whether an action's grants are what it uses.

A shape is one module beside this one and one entry in the table of `narrowgate.compile.executions`. This module must
not know any of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from narrowgate.compile.backends.backend import Declared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from narrowgate.compile.backends.backend import DeclaredGrant
    from narrowgate.compile.problems import Problem

Scalar = str | int | bool
Path = tuple[str | int, ...]
Reversible = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]

REFERENCE: Final = re.compile(r"\$\{(?:([a-z]+)\.)?([a-z][a-z0-9_]*)\}")


class DeclaredExecution(Declared):
    """What stands under an action's `execute`."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with it whatever the values."""
        raise NotImplementedError

    def check_grants(self, grants: Sequence[DeclaredGrant]) -> Iterator[Problem]:
        """Yield where an action's grants are not exactly what it uses."""
        raise NotImplementedError

    def check_call(self, call: Mapping[str, Any]) -> None:
        """Raise `PlaceError` where a value of `call`, the plan's names and scope filled in, does not fit its place."""

    def early(self) -> Mapping[str, Any]:
        """Return the parts whose values must be known when people decide."""
        raise NotImplementedError


def is_reference(value: object) -> bool:
    """Tell whether a value is exactly one reference."""
    return isinstance(value, str) and REFERENCE.fullmatch(value) is not None
