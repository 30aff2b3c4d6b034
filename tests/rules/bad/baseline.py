"""Two workflows that keep every rule, written by hand with the providers' own classes: nothing here is made by us.

They are within the lock of `tests/rules/stacks`. Each program beside this file deploys them and breaks them in one way.
"""

# ruff: noqa: ANN401 -- the providers' own classes take values and outputs alike

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_vault as vault

ACCOUNT = "111111111111"
BROKER = f"arn:aws:iam::{ACCOUNT}:user/narrowgate/dev/broker"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/narrowgate/dev/boundary"

ROLES = {
    "summaries-documents": "ng-dev-summaries-documents-9c19757e",
    "drafting-documents": "ng-dev-drafting-documents-5f9500a0",
}
"""What the lock calls the tools' IAM roles."""


def trust(session: str) -> dict[str, Any]:
    """Return the trust policy of a tool's role: Vault's broker alone, with the session's name as Vault writes it."""
    condition = {
        "StringEquals": {"sts:ExternalId": "narrowgate-dev"},
        "StringLike": {"sts:RoleSessionName": f"{session}@*"},
    }
    statement = {"Effect": "Allow", "Principal": {"AWS": BROKER}, "Action": "sts:AssumeRole", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


TRUST = trust("demo.documents")
READ = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::acme-dev-documents/runbooks/*"]}
    ],
}


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    """Return a policy document with one statement that allows `action` on `resource`."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]}


def make_role(name: str, *documents: dict[str, Any], **changes: Any) -> aws.iam.Role:
    """Make an IAM role for one tool, with its policies inline."""
    settings: dict[str, Any] = {
        "name": ROLES.get(name, f"ng-dev-{name}"),
        "path": "/narrowgate/dev/tool/",
        "assume_role_policy": json.dumps(trust(name.replace("-", "."))),
        "permissions_boundary": BOUNDARY,
        "max_session_duration": 3600,
        "tags": {
            "workflow": name.split("-", 1)[0],
            "tool": "documents",
            "owner": "sre",
            "environment": "dev",
        },
        "inline_policies": [
            aws.iam.RoleInlinePolicyArgs(name=f"p{index}", policy=json.dumps(document))
            for index, document in enumerate(documents or (READ,))
        ],
    }
    return aws.iam.Role(name, **{**settings, **changes})


def role_arn(name: str) -> str:
    """Return the ARN of a tool's IAM role."""
    return f"arn:aws:iam::{ACCOUNT}:role/narrowgate/dev/tool/{ROLES[name]}"


def make_login(workflow: str, **changes: Any) -> vault.jwt.AuthBackendRole:
    """Make a workflow's auth mount and its one role; with `backend`, only the role, at a mount that there is."""
    mount = (
        None
        if "backend" in changes
        else vault.jwt.AuthBackend(
            f"{workflow}-mount",
            path=f"agents/{workflow}",
            type="jwt",
            bound_issuer="https://idp.example.com",
            jwks_url="https://idp.example.com/keys",
        )
    )
    settings: dict[str, Any] = {
        "backend": f"agents/{workflow}",
        "role_name": "agent",
        "role_type": "jwt",
        "user_claim": "/sub",
        "user_claim_json_pointer": True,
        "bound_audiences": [f"narrowgate:dev:{workflow}"],
        "bound_claims": {"/act/sub": f"agent:{workflow}", "/groups": "on-call"},
        "clock_skew_leeway": 5,
        "expiration_leeway": 5,
        "not_before_leeway": 5,
        "token_policies": [f"agent.{workflow}", f"tool.{workflow}.documents", f"tool.{workflow}.tickets"],
        "token_no_default_policy": True,
        "token_type": "service",
        "token_ttl": 900,
        "token_max_ttl": 3600,
    }
    return vault.jwt.AuthBackendRole(
        f"{workflow}-login", opts=pulumi.ResourceOptions(depends_on=[mount] if mount else []), **{**settings, **changes}
    )


def make_policy(name: str, text: Any) -> vault.Policy:
    """Make a Vault policy."""
    return vault.Policy(f"policy-{name}", name=name, policy=text)


def make_vault_role(name: str, role_arn: Any, **changes: Any) -> vault.aws.SecretBackendRole:
    """Make the Vault role that assumes a tool's IAM role."""
    settings: dict[str, Any] = {
        "backend": "narrowgate-aws",
        "name": name,
        "credential_type": "assumed_role",
        "role_arns": [role_arn],
        "external_id": "narrowgate-dev",
        "default_sts_ttl": 900,
        "max_sts_ttl": 3600,
    }
    return vault.aws.SecretBackendRole(f"vault-{name}", **{**settings, **changes})


def make_workflow(workflow: str) -> None:
    """Make all of one workflow with the one tool `documents`."""
    make_role(f"{workflow}-documents")
    make_vault_role(f"{workflow}.documents", role_arn(f"{workflow}-documents"))
    make_policy(f"agent.{workflow}", 'path "auth/token/renew-self" {\n  capabilities = ["update"]\n}\n')
    make_policy(
        f"tool.{workflow}.documents",
        f'path "narrowgate-aws/sts/{workflow}.documents" {{\n'
        '  capabilities = ["read"]\n  allowed_parameters = {\n    "ttl" = []\n  }\n}\n',
    )
    make_login(workflow)


def deploy() -> None:
    """Make the two workflows."""
    make_workflow("summaries")
    make_workflow("drafting")
