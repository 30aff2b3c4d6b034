"""The backend `pki`: a short-lived client certificate whose only name says environment, workflow and tool.

The name is a SPIFFE id: `spiffe://<trust domain>/<environment>/<workflow>/<tool>`. This module must not issue anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.backends.backend import TOOL, WORKFLOW, BackendCompiler, Declared, DeclaredGrant
from narrowgate.compile.documents import Json, PkiDocuments, ToolDocuments, VaultSecretRole
from narrowgate.compile.errors import CompileError, PlaceError, ReferenceSyntaxError
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import Reference, Scalar, Value, expand, parse_template
from narrowgate.compile.tool_policy import credential_policy
from narrowgate.plan import Access, Backend, CertificateGrant, Environment, Grant, ToolAccess, WorkflowAccess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?")


class PkiBinding(Declared):
    """A pki tool needs no binding but what its own references name."""


class PkiGrant(DeclaredGrant):
    """A client certificate of the environment's `trust_domain`."""

    trust_domain: str
    """The trust domain: always `${binding.…}`."""

    def check(self, access: Access) -> Iterator[Problem]:  # noqa: ARG002 - what the tool does with it is its own matter
        """Yield a trust domain that is not bound by the environment."""
        try:
            sole = parse_template(self.trust_domain).sole
        except ReferenceSyntaxError as error:
            yield Problem(("trust_domain",), error.code, str(error), error.hint)
            return
        if sole is None or sole.kind != "binding":
            message = "a trust domain is bound by the environment"
            yield Problem(("trust_domain",), "reference", message, "write ${binding.trust_domain}")

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield the reference of the trust domain."""
        for reference in parse_template(self.trust_domain).references:
            yield ("trust_domain",), reference

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:
        """Yield the one certificate."""
        environment = values[Reference("env", "name")]
        for domain in expand(parse_template(self.trust_domain).placed(_place), values):
            yield CertificateGrant(f"spiffe://{domain}/{environment}/{values[WORKFLOW]}/{values[TOOL]}")


def _place(value: Scalar) -> str:
    if not isinstance(value, str) or not _TRUST_DOMAIN.fullmatch(value):
        raise PlaceError(f"{value!r} is no trust domain", hint="lower-case letters, digits and `._-`")
    return value


def _uri_san(tool: ToolAccess) -> str:
    found = {grant.uri_san for action in tool.granted for grant in action.grants if isinstance(grant, CertificateGrant)}
    if len(found) != 1:
        raise CompileError(f"a tool has one certificate, not {sorted(found)}", workflow=tool.workflow, tool=tool.tool)
    return found.pop()


def compile_tool(workflow: WorkflowAccess, tool: ToolAccess, environment: Environment) -> ToolDocuments:  # noqa: ARG001 - the table's signature
    """Return the documents of a pki tool.

    found = {g.uri_san for action in tool.granted for g in action.grants if isinstance(g, CertificateGrant)}
    """
    if not tool.granted:
        return ToolDocuments(access=tool, policy=None)
    uri_san = _uri_san(tool)
    name, mount = names.vault_role_name(tool.workflow, tool.tool), environment.vault.pki_mount
    path = f"{mount}/issue/{name}"
    settings: dict[str, Any] = {
        "allow_any_name": False,
        "allow_ip_sans": False,
        "allow_localhost": False,
        "allowed_uri_sans": [uri_san],
        "client_flag": True,
        "code_signing_flag": False,
        "email_protection_flag": False,
        "key_bits": 256,
        "key_type": "ec",
        "max_ttl": tool.max_ttl_seconds,
        "require_cn": False,
        "server_flag": False,
        "ttl": tool.ttl_seconds,
        "use_csr_common_name": False,
        "use_csr_sans": False,
    }
    return ToolDocuments(
        access=tool,
        policy=credential_policy(
            tool,
            path,
            capabilities=("update",),
            allowed_parameters={"ttl": [], "uri_sans": [uri_san]},
            required_parameters=("uri_sans",),
        ),
        pki=PkiDocuments(VaultSecretRole(mount, name, path, settings), uri_san),
        request={"uri_sans": uri_san},
    )


def describe_connection(documents: ToolDocuments, environment: Environment) -> Json:  # noqa: ARG001 - the table's signature
    """Return what an agent must know to use the certificate."""
    return {"uri_san": _uri_san(documents.access)}


def _check_tool(tool: ToolAccess) -> None:
    if tool.granted:
        _uri_san(tool)


PKI: Final = BackendCompiler(
    backend=Backend.PKI,
    grant_models=(PkiGrant,),
    binding_model=PkiBinding,
    check_tool=_check_tool,
    compile_tool=compile_tool,
    describe_connection=describe_connection,
)
