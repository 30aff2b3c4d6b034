"""What an agent imports: log in by a signed JWT, get short-lived credentials for each declared tool.

    with narrowgate.runtime.login(manifest, token) as agent:
        agent.aws("logs").client("logs").filter_log_events(logGroupName="/app/payments")
        with agent.postgres("incidents") as connection:
            connection.execute("SELECT title FROM incidents")

This room must not import components or compilers: an agent installs neither Pulumi nor a YAML reader.
"""

from narrowgate.runtime.agent import Agent, login
from narrowgate.runtime.credential import Bearer, Certificate, Credential, Secret
from narrowgate.runtime.errors import (
    AccessRefusedError,
    AgentError,
    ExpiredError,
    GatedActionError,
    LoginRefusedError,
    ManifestError,
    NotDeclaredError,
    ProposalError,
    RevokedError,
    ToolUnavailableError,
    VaultSealedError,
    VaultUnavailableError,
)
from narrowgate.runtime.manifest import Manifest, read_manifest
from narrowgate.runtime.proposals import Proposal
from narrowgate.runtime.session import token_in_file

__all__ = [
    "AccessRefusedError",
    "Agent",
    "AgentError",
    "Bearer",
    "Certificate",
    "Credential",
    "ExpiredError",
    "GatedActionError",
    "LoginRefusedError",
    "Manifest",
    "ManifestError",
    "NotDeclaredError",
    "Proposal",
    "ProposalError",
    "RevokedError",
    "Secret",
    "ToolUnavailableError",
    "VaultSealedError",
    "VaultUnavailableError",
    "login",
    "read_manifest",
    "token_in_file",
]
