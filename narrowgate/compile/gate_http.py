"""Gated actions behind a bearer: a token that Vault signs for one action, and one by which the executor only reads.

Both say what they are in their claims, by which the service tells them from an agent's own: `gated` is `execute` or
`read`, and `action` is the one action that it is about. Of these only the first has anything in `actions`. This module
must not approve anything, nor sign.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal

from narrowgate.compile import names
from narrowgate.compile.backends.bearer import claims_template
from narrowgate.compile.documents import BearerDocuments, Minted, VaultSecretRole
from narrowgate.compile.errors import CompileError
from narrowgate.compile.execution_http import audience_of, find_wrong_url, reads_of
from narrowgate.compile.gate_credentials import GatedCredentials

if TYPE_CHECKING:
    from narrowgate.plan import ActionAccess, Environment, ToolAccess, WorkflowAccess

# No token can be called back; it is used at once, within the handler's own time limits.
TOKEN_SECONDS: Final = 60
# The asking, and the end of the token. A signed token has no lease.
USES: Final = 2


def compile_credentials(
    workflow: WorkflowAccess, tool: ToolAccess, action: ActionAccess, environment: Environment
) -> GatedCredentials:
    """Return the token of one gated request, and the one that reads its target."""
    call = {} if action.execution is None else json.loads(action.execution.call)
    url = str(call.pop("url", ""))
    if wrong := find_wrong_url(url):  # a lock may say what no declaration could
        raise CompileError(wrong, workflow=tool.workflow, tool=tool.tool, hint="bind the service's https address")
    name = names.gated_name(tool.workflow, tool.tool, action.name)
    reader = names.reader_name(tool.tool, tool.workflow, action.name)
    return GatedCredentials(
        minted=_sign(workflow, tool, action, environment, name, "execute"),
        reader=_sign(workflow, tool, action, environment, reader, "read") if reads_of(action) else None,
        call=call,
        connection={"url": url},
        seconds=TOKEN_SECONDS,
        uses=USES,
    )


def _sign(  # noqa: PLR0913, PLR0917 - a role has this many sides
    workflow: WorkflowAccess,
    tool: ToolAccess,
    action: ActionAccess,
    environment: Environment,
    name: str,
    use: Literal["execute", "read"],
) -> Minted:
    key = environment.vault.signing_key
    settings = {
        "client_id": audience_of(action).audience,
        "key": key,
        "template": claims_template(workflow, tool, environment, gated=(action.name, use)),
        "ttl": TOKEN_SECONDS,
    }
    role = VaultSecretRole("identity/oidc", name, f"identity/oidc/token/{name}", settings, collection="role")
    return Minted(bearer=BearerDocuments(key=key, role=role, accessor_placeholder=None))
