"""What every handler brings, and how it is found. Templates of `execute:` are filled in here, value by value.

A template is JSON; a text that is exactly `${inputs.x}`, `${digest}`, `${request}`, `${requester}` or `${approvers}`
stands for that value, and nothing is ever put into the middle of a text: what an agent wrote never becomes syntax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from narrowgate.approvals.errors import SettingsError

if TYPE_CHECKING:
    from narrowgate.approvals.case import Change

ENTRY_POINTS: Final = "narrowgate.actions"
_REFERENCE: Final = re.compile(r"\$\{(?:inputs\.([a-z][a-z0-9_]*)|(digest|request|requester|approvers))\}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A credential as Vault issued it; `values` never shows in a repr."""

    lease: str
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a case says of its action: the exact `calls`, the `target` in words, and each `change` of it.

    `watched` is what the target's version is made of; None where nothing is read.
    """

    calls: Mapping[str, Any]
    target: str
    changes: tuple[Change, ...]
    watched: Any

    @property
    def shown(self) -> Any:  # noqa: ANN401 - JSON
        """Return all that a case says of it, as JSON, to be compared."""
        return [dict(self.calls), self.target, [asdict(change) for change in self.changes]]


@runtime_checkable
class Handler(Protocol):
    """One kind of gated action. `reader` and `gated` are the credentials of the executor's read and of the action."""

    def plan(
        self,
        execute: Mapping[str, Any],
        inputs: Mapping[str, Any],
        connection: Mapping[str, Any],
        reader: Credentials | None,
    ) -> Plan:
        """Read what stands there now, and return what will be done and changed. Raises DraftError, HandlerError."""
        ...

    def execute(
        self,
        execute: Mapping[str, Any],
        inputs: Mapping[str, Any],
        late: Mapping[str, str],
        connection: Mapping[str, Any],
        gated: Credentials,
    ) -> Any:  # noqa: ANN401 - a JSON-ready result
        """Carry out exactly what `plan` said with these inputs, and return a JSON-ready result.

        Raises NotExecutedError only where it is certain that nothing was changed; whatever else is raised leaves the
        request in doubt.
        """
        ...


def find_handler(name: str) -> Handler:
    """Return the handler of `name`; raise SettingsError where none is installed."""
    found = [entry for entry in entry_points(group=ENTRY_POINTS) if entry.name == name]
    if not found:
        known = ", ".join(sorted({entry.name for entry in entry_points(group=ENTRY_POINTS)})) or "none"
        raise SettingsError(f"There is no handler {name!r}; installed: {known}.", hint="Install what brings it.")
    handler = found[0].load()()
    if not isinstance(handler, Handler):
        raise SettingsError(f"{found[0].value} is no handler.")
    return handler


def fill(template: Any, inputs: Mapping[str, Any], late: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return `template` with each `${inputs.x}` replaced by its value (None where the draft gives none).

    Without `late` the references that are known only later stay as they are written.
    """
    if isinstance(template, Mapping):
        return {key: fill(part, inputs, late) for key, part in template.items()}
    if isinstance(template, list | tuple):
        return [fill(part, inputs, late) for part in template]
    if isinstance(template, str) and (match := _REFERENCE.fullmatch(template)):
        name, known = match.groups()
        if known:
            return template if late is None else late[known]
        return inputs.get(name)
    return template
