"""What checks are about: one environment as declared, and connections to it as it is. It must not judge anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from narrowgate.operations.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.compile.documents import FoundationDocuments
    from narrowgate.operations.vault import VaultOperator
    from narrowgate.plan import Environment


class SickError(OperationError):
    """Something is not as it must be; `hint` says how to mend it."""

    code = "not-healthy"


@dataclass(frozen=True, slots=True)
class Patient:
    """One environment: its bindings, the documents of its foundation, and an administrator's connections to it.

    `aws` makes boto3's client of a service by its name; `gated` says whether a workflow has gated actions; `token` is a
    token of the identity provider to look at, None where none was given.
    """

    environment: Environment
    documents: FoundationDocuments
    vault: VaultOperator
    aws: Callable[[str], Any]
    gated: bool
    token: str | None = None


class Health(StrEnum):
    """What came of a check."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result, in words, and how to mend what is wrong."""

    check: str
    health: Health
    detail: str
    mend: str = ""


class SkippedError(OperationError):
    """A check does not apply here, or was not asked for."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its `name`, what it `asks`, and the function that answers."""

    name: str
    asks: str
    run: Callable[[Patient], str]
