"""Reads the IAM roles below an environment's path. It only reads, and judges nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from narrowgate.audit.drift.facts import StandingRole, Unread
from narrowgate.compile import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.audit.drift.facts import Json
    from narrowgate.plan import Environment


@dataclass(slots=True)
class IamReader:
    """Reads with the caller's usual AWS settings; `unread` gathers what could not be read."""

    environment: Environment
    say: Callable[[str], None]
    unread: list[Unread] = field(default_factory=list)

    def read(self) -> dict[str, StandingRole | None] | None:
        """Return the roles by name, None for one that can't be read; None where they can't even be listed."""
        aws = self.environment.aws
        path = names.boundary_path(self.environment.name)
        self.say(f"AWS: roles below {path}")
        try:
            session = boto3.Session()  # boto3's default one keeps the credentials that it found first
            sts = session.client("sts", region_name=aws.region, endpoint_url=aws.endpoint_url)
            account = sts.get_caller_identity()["Account"]
            if account != aws.account:
                reason = f"the AWS credentials are of account {account}, the environment is {aws.account}"
                self.unread.append(Unread("aws", "IAM roles", reason))
                return None
            client = session.client("iam", region_name=aws.region, endpoint_url=aws.endpoint_url)
            pages = client.get_paginator("list_roles").paginate(PathPrefix=path)
            listed = [role["RoleName"] for page in pages for role in page["Roles"]]
        except (BotoCoreError, ClientError) as error:
            self.unread.append(Unread("aws", f"IAM roles below {path}", str(error)))
            return None
        found: dict[str, StandingRole | None] = {}
        for number, name in enumerate(listed, 1):
            self.say(f"AWS: role {number} of {len(listed)}")
            try:
                found[name] = _read_role(client, name)
            except (BotoCoreError, ClientError) as error:
                if _is_gone(error):
                    continue  # it was deleted since it was listed
                self.unread.append(Unread("aws", f"IAM role {name}", str(error)))
                found[name] = None
        return found


def _read_role(client: Any, name: str) -> StandingRole:  # noqa: ANN401 - boto3 makes clients at run time
    role = client.get_role(RoleName=name)["Role"]
    pages = client.get_paginator("list_role_policies").paginate(RoleName=name)
    inline = [policy for page in pages for policy in page["PolicyNames"]]
    attached = client.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    return StandingRole(
        name=name,
        path=role["Path"],
        trust_policy=_as_document(role["AssumeRolePolicyDocument"]),
        policies={
            policy: _as_document(client.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
            for policy in inline
        },
        attached=tuple(sorted(each["PolicyArn"] for page in attached for each in page["AttachedPolicies"])),
        boundary=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        max_session_seconds=int(role["MaxSessionDuration"]),
    )


def _as_document(document: str | Json) -> Json:
    """Return a policy as JSON: AWS answers it URL-encoded where no client has decoded it."""
    if not isinstance(document, str):
        return document
    value: Json = json.loads(document if document.lstrip().startswith("{") else unquote(document))
    return value


def _is_gone(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchEntity"
