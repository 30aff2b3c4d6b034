"""The backend `bearer`: a token that Vault signs, for internal HTTP and MCP tools.

The token says who (workflow, requester), what (tool, actions, scope), where (environment) and for whom it is meant
(audience); the tool checks it against Vault's published keys. A token cannot be revoked, so its life is short. This
module must not sign anything.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.backends.backend import SCOPE, BackendCompiler, Declared, DeclaredGrant
from narrowgate.compile.documents import BearerDocuments, Json, ToolDocuments, VaultSecretRole
from narrowgate.compile.errors import CompileError, PlaceError, ReferenceSyntaxError
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import Reference, Scalar, Value, expand, parse_template
from narrowgate.compile.tool_policy import credential_policy
from narrowgate.plan import Access, Backend, ClaimGrant, Environment, Grant, ToolAccess, WorkflowAccess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The accessor of the workflow's auth mount is Vault's to make up: components put it here on deploy.
ACCESSOR_PLACEHOLDER: Final = "NARROWGATE_AUTH_ACCESSOR"
_AUDIENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/._-]{0,255}")


class BearerBinding(Declared):
    """A bearer tool needs no binding but what its own references name."""


class BearerGrant(DeclaredGrant):
    """A token for `audience`: the tool's name as it knows itself, mostly its URL."""

    audience: str
    """The tool's name as it knows itself, mostly its URL."""

    def check(self, access: Access) -> Iterator[Problem]:  # noqa: ARG002 - what the tool does with it is its own matter
        """Yield an audience that is none."""
        try:
            template = parse_template(self.audience)
        except ReferenceSyntaxError as error:
            yield Problem(("audience",), error.code, str(error), error.hint)
            return
        sample = "".join(part if isinstance(part, str) else "x" for part in template.parts)
        if not _AUDIENCE.fullmatch(sample):
            hint = "a URL or a name of letters, digits and `:/._-`"
            yield Problem(("audience",), "bad-format", f"`{self.audience}` is no audience", hint)

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield the references of the audience."""
        for reference in parse_template(self.audience).references:
            yield ("audience",), reference

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:
        """Yield one claim grant for each audience, with the whole scope."""
        for audience in expand(parse_template(self.audience).placed(_place), values):
            yield ClaimGrant(audience, str(values[SCOPE]))


def _place(value: Scalar) -> str:
    if not isinstance(value, str) or not _AUDIENCE.fullmatch(value):
        raise PlaceError(f"{value!r} is no audience", hint="letters, digits and `:/._-`")
    return value


def _audience(tool: ToolAccess) -> str:
    audiences = {g.audience for action in tool.granted for g in action.grants if isinstance(g, ClaimGrant)}
    if len(audiences) != 1:
        raise CompileError(
            f"one token has one audience, not {sorted(audiences)}",
            workflow=tool.workflow,
            tool=tool.tool,
            hint="make a tool for each audience",
        )
    return audiences.pop()


def claims_template(
    workflow: WorkflowAccess, tool: ToolAccess, environment: Environment, *, gated: tuple[str, str] | None = None
) -> str:
    """Return the claims as Vault's template: JSON whose only template part is the requester's name.

    `gated` is an action and what an executor's token is for, `execute` or `read`: such a token names no requester,
    since it is the executor that asks for it.

    Vault would fill `{{…}}` in any text, so each brace in a text is written as JSON's own escape.
    """
    claims: list[tuple[str, str]] = [
        ("actions", _json(_actions(tool, gated))),
        ("environment", _json(environment.name)),
        ("scope", _object([(name, _json(value)) for name, value in json.loads(tool.scope).items()])),
        ("tool", _json(tool.tool)),
        ("workflow", _json(workflow.name)),
    ]
    if gated is not None:
        claims += [("action", _json(gated[0])), ("gated", _json(gated[1]))]
    elif workflow.requesters:
        # Vault quotes what it fills in.
        claims.append(("requester", f"{{{{identity.entity.aliases.{ACCESSOR_PLACEHOLDER}.name}}}}"))
    return _object(sorted(claims))


def _actions(tool: ToolAccess, gated: tuple[str, str] | None) -> list[str]:
    """Return the actions that the service may do for the token; none for one that only reads before a decision."""
    if gated is None:
        return [action.name for action in tool.granted]
    return [gated[0]] if gated[1] == "execute" else []


def _json(value: object) -> str:
    return json.dumps(value).replace("{", "\\u007b").replace("}", "\\u007d")


def _object(members: list[tuple[str, str]]) -> str:
    # White space inside the braces: two that touch would open or close a template.
    return "{ " + ", ".join(f"{_json(name)}: {value}" for name, value in members) + " }"


def compile_tool(workflow: WorkflowAccess, tool: ToolAccess, environment: Environment) -> ToolDocuments:
    """Return the documents of a bearer tool."""
    if not tool.granted:
        return ToolDocuments(access=tool, policy=None)
    name = names.vault_role_name(tool.workflow, tool.tool)
    path = f"identity/oidc/token/{name}"
    settings: dict[str, Any] = {
        "client_id": _audience(tool),
        "key": environment.vault.signing_key,
        "template": claims_template(workflow, tool, environment),
        # Vault's default is 24 h, and no token can be called back.
        "ttl": tool.ttl_seconds,
    }
    return ToolDocuments(
        access=tool,
        policy=credential_policy(tool, path),
        bearer=BearerDocuments(
            key=environment.vault.signing_key,
            role=VaultSecretRole("identity/oidc", name, path, settings, collection="role"),
            accessor_placeholder=ACCESSOR_PLACEHOLDER if workflow.requesters else None,
        ),
    )


def describe_connection(documents: ToolDocuments, environment: Environment) -> Json:
    """Return what an agent must know to use the token."""
    vault = environment.vault
    return {
        "audience": _audience(documents.access),
        "issuer": "/".join(part for part in (vault.address, "v1", vault.namespace, "identity/oidc") if part),
        "scheme": "Bearer",
    }


def _check_tool(tool: ToolAccess) -> None:
    if tool.granted:
        _audience(tool)


BEARER: Final = BackendCompiler(
    backend=Backend.BEARER,
    grant_models=(BearerGrant,),
    binding_model=BearerBinding,
    check_tool=_check_tool,
    compile_tool=compile_tool,
    describe_connection=describe_connection,
)
