"""What a team may configure of the rules, with defaults that are the strictest that the permission model allows.

Settings narrow what a rule must know of an environment (its account, its broker, its caps on time); none of them
switches off a rule against admin or sharing. This module holds values only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from narrowgate.compile import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.access.locked import LockedDocuments
    from narrowgate.errors import NarrowgateError
    from narrowgate.plan import Environment, ForeignName, RuleException


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Configuration of all rules. Times are in seconds.

    `environment` is the environment's name, `account` its AWS account; empty where unknown: then rules that compare
    with it judge only what they can without it. `brokers` are the ARNs that may assume tools' roles (empty: any one
    IAM role or user of the same account), `gated_brokers` those that may assume gated actions' roles. `boundary` is
    the ARN or name that a permissions boundary must have (empty: any boundary will do). `people_mounts` are auth
    mounts where people log in, not agents. `managed_policies` gives the text of managed policies that do not stand
    in the stack, by ARN. `bindings` is the environment itself, from which `system_identities` tells what the
    broker, the deployer and the preview may do; without it none of them can be judged, so each is refused. `lock`
    is what the access lock compiles to, or why it can't be read; None only where there is no stack that it could be
    of (a file that somebody lints). `audit_device` is the audit device that Vault's own file declares; empty where
    none is bound. `gated_mounts` are secrets mounts whose every path needs an approval.
    `exceptions` are the reviewed ones that are in force. `foreign` are the names of what other environments are bound
    to.
    """

    environment: str = ""
    account: str = ""
    partition: str = "aws"
    brokers: tuple[str, ...] = ()
    gated_brokers: tuple[str, ...] = ()
    boundary: str = ""
    auth_prefix: str = "agents"
    vault_address: str = ""
    people_mounts: tuple[str, ...] = ("people",)
    max_ttl_seconds: int = 3600
    max_session_seconds: int = 28800
    foreign: tuple[ForeignName, ...] = ()
    managed_policies: Mapping[str, str] = field(default_factory=dict)
    bindings: Environment | None = None
    lock: LockedDocuments | NarrowgateError | None = None
    audit_device: str = ""
    gated_mounts: tuple[str, ...] = ()
    exceptions: tuple[RuleException, ...] = ()


def settings_of(environment: Environment, lock: LockedDocuments | NarrowgateError | None = None) -> Settings:
    """Return the settings that follow from an environment's bindings and its lock."""
    aws, vault = environment.aws, environment.vault
    gated_aws = names.gated_mount(vault.aws_mount)
    return Settings(
        environment=environment.name,
        account=aws.account,
        partition=aws.partition,
        brokers=(aws.broker_arn,) if aws.broker_arn else (),
        gated_brokers=(aws.gated_broker_arn,) if aws.gated_broker_arn else (),
        boundary=f"arn:{aws.partition}:iam::{aws.account}:policy/narrowgate/{environment.name}/boundary",
        auth_prefix=environment.vault.auth_prefix,
        vault_address=environment.vault.address,
        max_ttl_seconds=environment.limits.max_ttl_seconds,
        max_session_seconds=environment.limits.max_session_seconds,
        bindings=environment,
        lock=lock,
        audit_device=environment.vault.audit or "",
        people_mounts=("people", names.APPROVERS_MOUNT),
        # Where credentials are read, not where roles are written: that is the deployer's.
        gated_mounts=(f"{gated_aws}/creds", f"{gated_aws}/sts", f"{names.gated_mount(vault.database_mount)}/creds"),
    )
