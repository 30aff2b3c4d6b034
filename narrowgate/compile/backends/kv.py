"""The backend `kv`: one versioned secret of a SaaS that knows no short-lived credentials.

The weakest of the backends, and the last resort: the key lives on when the login ends. So it has an owner and an age
that it may reach, and one path for each tool. A person fills it; this module never sees a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from narrowgate.compile.backends.backend import TOOL, BackendCompiler, Declared, DeclaredGrant
from narrowgate.compile.documents import Json, KvDocuments, ToolDocuments
from narrowgate.compile.durations import Duration  # noqa: TC001 - pydantic reads annotations at run time
from narrowgate.compile.errors import CompileError, PlaceError, ReferenceSyntaxError
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import Reference, Scalar, Value, expand, parse_template
from narrowgate.compile.tool_policy import credential_policy
from narrowgate.plan import Access, Backend, Environment, Grant, SecretGrant, ToolAccess, WorkflowAccess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


class KvBinding(Declared):
    """A kv tool needs no binding but what its own references name."""


class KvGrant(DeclaredGrant):
    """Read of the tool's `secret` (a name under the tool's own path), rotated before it is older than `max_age`."""

    secret: str
    """The secret's name, under the tool's own path."""
    max_age: Duration
    """How old the secret may get before it is rotated."""

    def check(self, access: Access) -> Iterator[Problem]:  # noqa: ARG002 - a SaaS key says nothing of what it permits
        """Yield a name that is no exact path."""
        try:
            template = parse_template(self.secret)
        except ReferenceSyntaxError as error:
            yield Problem(("secret",), error.code, str(error), error.hint)
            return
        sample = "".join(part if isinstance(part, str) else "x" for part in template.parts)
        if not all(_SEGMENT.fullmatch(segment) for segment in sample.split("/")):
            hint = "names of letters, digits and `_.-`, joined by `/`"
            yield Problem(("secret",), "bad-format", f"`{self.secret}` is no secret's name", hint)

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield the references of the secret's name."""
        for reference in parse_template(self.secret).references:
            yield ("secret",), reference

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:
        """Yield one grant for each secret; all lie under the tool's name, so that no tool reaches another's."""
        for name in expand(parse_template(self.secret).placed(_place), values):
            yield SecretGrant(f"{values[TOOL]}/{name}", self.max_age)


def _place(value: Scalar) -> str:
    if not isinstance(value, str) or not _SEGMENT.fullmatch(value):
        raise PlaceError(f"{value!r} is no part of a secret's name", hint="letters, digits and `_.-`")
    return value


def _secret(tool: ToolAccess) -> SecretGrant:
    found = {grant for action in tool.granted for grant in action.grants if isinstance(grant, SecretGrant)}
    if len(found) != 1:
        raise CompileError(
            f"a tool has one secret, not {sorted(grant.path for grant in found)}",
            workflow=tool.workflow,
            tool=tool.tool,
            hint="make a tool for each secret, with one max_age",
        )
    return found.pop()


def compile_tool(workflow: WorkflowAccess, tool: ToolAccess, environment: Environment) -> ToolDocuments:
    """Return the documents of a kv tool."""
    if not tool.granted:
        return ToolDocuments(access=tool, policy=None)
    secret, mount = _secret(tool), environment.vault.kv_mount
    path = f"{mount}/data/{secret.path}"
    return ToolDocuments(
        access=tool,
        policy=credential_policy(tool, path),
        kv=KvDocuments(
            mount=mount,
            credential_path=path,
            metadata_path=f"{mount}/metadata/{secret.path}",
            custom_metadata={
                "managed-by": "narrowgate",
                "max-age-seconds": str(secret.max_age_seconds),
                "owner": workflow.owner,
                "tool": tool.tool,
            },
        ),
    )


def describe_connection(documents: ToolDocuments, environment: Environment) -> Json:  # noqa: ARG001 - the table's signature
    """Return what an agent must know to use the secret: that it does not end with the login, and how old it may be."""
    return {"max_age_seconds": _secret(documents.access).max_age_seconds, "static": True}


def _check_tool(tool: ToolAccess) -> None:
    if tool.granted:
        _secret(tool)


KV: Final = BackendCompiler(
    backend=Backend.KV,
    grant_models=(KvGrant,),
    binding_model=KvBinding,
    check_tool=_check_tool,
    compile_tool=compile_tool,
    describe_connection=describe_connection,
)
