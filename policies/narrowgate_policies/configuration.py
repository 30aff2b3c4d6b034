"""The pack's settings: the environment's bindings, as the stack's own configuration holds them.

The engine hands the pack `narrowgate:environment`. A foundation stack has only the environment's name there; then the
bindings are read where the program reads them, from the environment's own stack file: in the folder that
`NARROWGATE_STACK_CONFIG_DIR` names, else of the project in which the pack lies. Where that is not found, the rules
judge by what a name tells, and refuse what they can't judge so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

from narrowgate.declarations import load_environment, stack_config_dir_of
from narrowgate.errors import NarrowgateError
from narrowgate.rules import Settings, settings_of

STACK_CONFIG_VARIABLE = "NARROWGATE_STACK_CONFIG_DIR"


def read_settings() -> Settings:
    """Return the settings for the stack that is being deployed."""
    text = pulumi.Config("narrowgate").get("environment")
    if not text:
        return Settings()
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(value, Mapping):
        return settings_from(value)
    return named_settings(str(value), Path.cwd())


def named_settings(environment: str, pack: Path) -> Settings:
    """Return the settings of the environment called so; `pack` is the pack's folder."""
    own = os.environ.get(STACK_CONFIG_VARIABLE)
    project = next((folder for folder in (pack, *pack.parents) if (folder / "Pulumi.yaml").is_file()), None)
    if own or project:
        folder = Path(own) if own else stack_config_dir_of(project or pack)
        try:
            return settings_of(load_environment(folder, environment))
        except NarrowgateError as error:
            pulumi.log.warn(f"the policy pack can't read the bindings of {environment}: {error}")
    return Settings(environment=environment, boundary="boundary")


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
