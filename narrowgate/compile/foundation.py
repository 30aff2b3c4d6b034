"""What an environment needs before any workflow: boundary, secrets mounts, connections, signing key, CA.

Everything comes from the environment's bindings, so that a new workflow never changes the foundation: each mount is
there from the start, and one that no tool uses yet grants nothing. This module must not look at any workflow, and holds
no password: the deployer gives it to Vault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from narrowgate.compile import names
from narrowgate.compile.approvals import compile_approvals
from narrowgate.compile.backends import postgres
from narrowgate.compile.boundary import boundary_policy
from narrowgate.compile.deployer import compile_deployer
from narrowgate.compile.documents import FoundationDocuments, Json
from narrowgate.compile.ledger import ANCHOR_MOUNT, AUDIT_RESPONSE_KEYS, SIGNING_MOUNT
from narrowgate.compile.operator import compile_operator

if TYPE_CHECKING:
    from narrowgate.plan import Environment

# The session's name tells workflow, tool and user: `<workflow>.<tool>@<login's display name>`; long ones end in a hash.
AWS_USERNAME_TEMPLATE: Final = '{{ printf "%s@%s" .PolicyName .DisplayName | truncate_sha256 64 }}'
DAY_SECONDS: Final = 86400
CA_SECONDS: Final = 3650 * DAY_SECONDS


def compile_foundation(environment: Environment) -> FoundationDocuments:
    """Return the foundation's documents."""
    return FoundationDocuments(
        boundary_name=names.BOUNDARY,
        boundary_path=names.boundary_path(environment.name),
        boundary_policy=boundary_policy(),
        aws_mount=environment.vault.aws_mount,
        aws_config=_aws_config(environment),
        database_mount=environment.vault.database_mount,
        database_connections=_connections(environment),
        kv_mount=environment.vault.kv_mount,
        pki_mount=environment.vault.pki_mount,
        signing_key=environment.vault.signing_key,
        deployer=compile_deployer(environment),
        signing_key_config={
            "algorithm": "ES256",
            # A role names its client id itself, so a list here would keep nobody out who can write a role; it would
            # only make each new tool change the key.
            "allowed_client_ids": ["*"],
            "rotation_period": DAY_SECONDS,
            # Vault refuses a role whose tokens outlive their key.
            "verification_ttl": max(DAY_SECONDS, environment.limits.max_ttl_seconds),
        },
        pki_root={
            "common_name": f"narrowgate {environment.name} agents",
            "exclude_cn_from_sans": True,
            "key_bits": 256,
            "key_type": "ec",
            # It signs agents' certificates and no further CA.
            "max_path_length": 0,
            "ttl": f"{CA_SECONDS}s",
        },
        issuer=environment.vault.address,
        adopted=environment.vault.adopt,
        anchor_mount=ANCHOR_MOUNT,
        signing_mount=SIGNING_MOUNT,
        audit_response_keys=AUDIT_RESPONSE_KEYS,
        revocations_mount=environment.vault.revocations_mount,
        operator=compile_operator(environment),
        approvals=compile_approvals(environment),
    )


def _aws_config(environment: Environment) -> Json:
    aws = environment.aws
    return {
        "iam_endpoint": aws.endpoint_url or "",
        "region": aws.region,
        "sts_endpoint": aws.sts_endpoint,
        "sts_region": aws.region,
        "username_template": AWS_USERNAME_TEMPLATE,
    }


def login_username_template(auth_prefix: str) -> str:
    """Return how Vault names a database login: workflow and user, and eight characters that make it unique.

    The user's name comes from a token. `urlquery` leaves letters, digits and `._~%+-` of it, so that no name can end
    the quotes of a creation or revocation statement.
    """
    return (
        f'{{{{ printf "%s-%s" (.DisplayName | urlquery | replace "{auth_prefix}-" "" | truncate_sha256 54) '
        "(random 8) }}"
    )


def _connections(environment: Environment) -> tuple[Json, ...]:
    found: dict[str, Json] = {}
    for tool in environment.tools:
        if not {"host", "database"} <= dict(tool.values).keys():
            continue
        binding = postgres.binding_of(environment, tool.tool)
        name = postgres.connection_of(environment, binding)
        host = f"[{binding.host}]" if ":" in binding.host else binding.host
        settings: dict[str, Any] = {
            "allowed_roles": ["*"],
            "connection_url": (
                "postgresql://{{username}}:{{password}}@"
                f"{host}:{binding.port}/{quote(binding.database, safe='')}?sslmode={binding.sslmode}"
            ),
            "name": name,
            "password_authentication": "scram-sha-256",
            "plugin_name": "postgresql-database-plugin",
            "username": binding.broker,
            "username_template": login_username_template(environment.vault.auth_prefix),
        }
        found[name] = settings
    return tuple(found[name] for name in sorted(found))
