"""How the double reaches AWS: the provider's settings, then the environment, as the real provider does."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config

from rehearsal.doubles.resource import DoubleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rehearsal.doubles.wire import Values

# boto3 makes its clients, and their methods, at run time from service descriptions: they have no static type.
Client = Any


@dataclass(frozen=True)
class Aws:
    """The clients of one configured provider, each made when it is first used."""

    region: str
    partition: str
    make: Callable[[str], Client]
    _made: dict[str, Client] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def client(self, service: str) -> Client:
        """Return the client of `service`; a session may not make two at once."""
        with self._making:
            if service not in self._made:
                self._made[service] = self.make(service)
            return self._made[service]

    @property
    def iam(self) -> Client:
        """IAM's client."""
        return self.client("iam")

    @property
    def sts(self) -> Client:
        """STS's client."""
        return self.client("sts")

    @cached_property
    def account(self) -> str:
        """The account that the credentials are of."""
        return str(self.sts.get_caller_identity()["Account"])


def connect(settings: Values) -> Aws:
    """Return clients for `settings`; raise DoubleError where the account is not one of the allowed.

    `allowedAccountIds` is how a stack makes sure that it deploys to its own account, so it is checked before anything
    else is done.
    """
    region = settings.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise DoubleError("no AWS region", hint="set aws:region or AWS_DEFAULT_REGION")
    session = boto3.session.Session(
        region_name=region,
        aws_access_key_id=settings.get("accessKey"),
        aws_secret_access_key=settings.get("secretKey"),
        aws_session_token=settings.get("token"),
        profile_name=settings.get("profile"),
    )
    endpoints = {name: url for entry in settings.get("endpoints") or () for name, url in entry.items()}
    style: Any = {"addressing_style": "path" if settings.get("s3UsePathStyle") else "auto"}
    config = botocore.config.Config(max_pool_connections=64, retries={"max_attempts": 3, "mode": "standard"}, s3=style)

    def client(service: str) -> Client:
        return session.client(service, endpoint_url=endpoints.get(service), config=config)  # type: ignore[call-overload]  # not the literal names

    aws = Aws(region, session.get_partition_for_region(region), client)
    _check_account(aws, settings.get("allowedAccountIds") or (), settings.get("forbiddenAccountIds") or ())
    return aws


def _check_account(aws: Aws, allowed: Iterable[str], forbidden: Iterable[str]) -> None:
    if not allowed and not forbidden:
        return
    account = aws.account
    if (allowed and account not in allowed) or account in forbidden:
        raise DoubleError(
            f"AWS account {account} is not allowed by the provider's allowedAccountIds or forbiddenAccountIds"
        )


def tag_list(tags: Values | None) -> list[dict[str, str]]:
    """Return tags as the IAM API takes them."""
    return [{"Key": key, "Value": str(value)} for key, value in sorted((tags or {}).items())]


def tag_map(tags: Iterable[dict[str, str]] | None) -> dict[str, str]:
    """Return tags as a program writes them."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def document(value: object) -> str:
    """Return a policy document as text; boto3 decodes some of them to dicts."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
