"""What a declaration takes out of an answer: JMESPath expressions, and changes of what is read.

This module must not know whose answer it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jmespath
from jmespath.exceptions import JMESPathError

from narrowgate.compile.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.compile.execution import Path


def check_expressions(expressions: Mapping[str, str], path: Path) -> Iterator[Problem]:
    """Yield what is no JMESPath expression."""
    for name, text in expressions.items():
        try:
            jmespath.compile(text)
        except JMESPathError:
            yield Problem((*path, name), "bad-format", f"`{text}` is no JMESPath expression", "as in `Attributes.Size`")


def check_changes(changes: Mapping[str, object], fields: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what is changed and not read."""
    for name in changes:
        if name not in fields:
            message = f"`{name}` is changed and not read: approvers would not see what it was"
            yield Problem(("changes", name), "unread-column", message, "add it to `read: fields`", key=True)
