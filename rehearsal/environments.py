"""What the rehearsal's environments are: read from the committed stack files, spelled nowhere else.

The rehearsal makes what those files name (account, broker, bucket, issuer) on this machine. It must not read the folder
that is deployed: a test or a user may break a copy of it, and the servers go on.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from narrowgate.declarations import DeclarationErrors, find_environments, load_environment
from rehearsal.errors import RehearsalError

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.plan import Environment
    from rehearsal.layout import EnvironmentLayout, Layout

DOCUMENTS_TOOL = "documents"
ALL = "all"


def list_environments(layout: Layout, chosen: str = ALL) -> list[EnvironmentLayout]:
    """Return all environments that the checkout declares, or the `chosen` one.

    Raises:
        RehearsalError: there is none of that name.

    """
    if chosen != ALL:
        return [find_environment(layout, chosen)]
    return [layout.of(name) for name in find_environments(layout.checkout / "stacks")]


def find_environment(layout: Layout, name: str) -> EnvironmentLayout:
    """Return the environment called `name`.

    Raises:
        RehearsalError: the checkout declares none of that name.

    """
    names = find_environments(layout.checkout / "stacks")
    if name not in names:
        raise RehearsalError(f"there is no environment {name!r}", hint=f"there are: {', '.join(names)}")
    return layout.of(name)


def describe(layout: EnvironmentLayout) -> Environment:
    """Return the environment's committed bindings.

    Raises:
        RehearsalError: they cannot be read.

    """
    return _load(layout.checkout / "stacks", layout.environment)


@functools.cache
def _load(stacks: Path, name: str) -> Environment:
    try:
        return load_environment(stacks, name)
    except DeclarationErrors as error:
        raise RehearsalError(f"the environment {name} cannot be read: {error}") from error


def account(layout: EnvironmentLayout) -> str:
    """Return the number of the environment's AWS account."""
    return describe(layout).aws.account


def find_bucket(layout: EnvironmentLayout) -> str:
    """Return the name of the environment's bucket of documents."""
    return str(describe(layout).binding(DOCUMENTS_TOOL).get("bucket"))
