"""The pack's settings: the environment's bindings, as the stack's own configuration holds them.

The pack can't find the stack's files, so it reads what the engine hands it: `narrowgate:environment`. A foundation
stack has only the environment's name there; then rules judge by what a name tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi

from narrowgate.rules import Settings


def read_settings() -> Settings:
    """Return the settings for the stack that is being deployed."""
    text = pulumi.Config("narrowgate").get("environment")
    if not text:
        return Settings()
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not isinstance(value, Mapping):
        return Settings(environment=str(value), boundary="boundary")
    return settings_from(value)


def settings_from(environment: Mapping[str, Any]) -> Settings:
    """Return the settings that the bindings `environment` give; what they leave out keeps its strict default."""
    name = str(environment.get("name", ""))
    aws = environment.get("aws") or {}
    account, partition = str(aws.get("account", "")), str(aws.get("partition", "aws"))
    broker = aws.get("broker_arn")
    vault = environment.get("vault") or {}
    return Settings(
        environment=name,
        account=account,
        partition=partition,
        brokers=(str(broker),) if broker else (),
        boundary=f"arn:{partition}:iam::{account}:policy/narrowgate/{name}/boundary" if account and name else "",
        auth_prefix=str(vault.get("auth_prefix", "agents")),
        vault_address=str(vault.get("address", "")),
    )
