"""Says what environments share: no account, Vault, job of CI or data of one may be another's.

`narrowgate check` asks it of all environments; a deploy, of its own against all others that have a file beside it.
This module must not judge what a policy allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.declarations.environments import CONFIG_PATH, EnvironmentSource, find_environments, read_environment
from narrowgate.declarations.errors import DeclarationError, DeclarationErrors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from narrowgate.declarations.source import KeyPath
    from narrowgate.plan import Environment

Reality = tuple[tuple[object, ...], "KeyPath", str]
"""A real thing: what makes two of them the same, where it stands in the bindings, and what it is called."""


def find_shared(sources: Sequence[EnvironmentSource]) -> Iterator[DeclarationError]:
    """Yield what two of `sources` share, where the later one of both binds it.

    The identity provider may be the company's one: agents' audiences differ by environment.
    """
    seen: dict[tuple[object, ...], str] = {}
    for source in sorted(sources, key=lambda entry: entry.environment.name):
        name = source.environment.name
        for key, path, what in _realities(source.environment):
            other = seen.setdefault(key, name)
            if other != name:
                yield _shared(source, path, f"{name} and {other} share {what}")


def require_separation(environment: Environment, stack_config_dir: Path) -> None:
    """Refuse to go on with an `environment` that shares something with another one of `stack_config_dir`.

    `environment` is what is deployed, wherever it was read. Raise `DeclarationErrors` with all that is shared, and also
    where another environment's file cannot be read: what cannot be compared is not known to be apart.
    """
    own = {key: what for key, _, what in _realities(environment)}
    errors: list[DeclarationError] = []
    for name in find_environments(stack_config_dir):
        if name == environment.name:
            continue
        try:
            other = read_environment(stack_config_dir, name)
        except DeclarationErrors as error:
            errors += error.errors
            continue
        errors += [
            _shared(other, path, f"{environment.name} and {name} share {what}")
            for key, path, what in _realities(other.environment)
            if key in own
        ]
    if errors:
        raise DeclarationErrors(errors)


def _shared(source: EnvironmentSource, path: KeyPath, message: str) -> DeclarationError:
    hint = "environments have nothing in common: give each its own"
    return source.source.error(message, (*CONFIG_PATH, *path), "shared-environment", hint)


def _realities(environment: Environment) -> Iterator[Reality]:
    aws, vault = environment.aws, environment.vault
    yield ("account", aws.partition, aws.account), ("aws", "account"), f"the AWS account {aws.account}"
    # Two namespaces of one server are two Vaults.
    name = f"{vault.address} {vault.namespace or ''}".strip()
    yield ("vault", vault.address, vault.namespace), ("vault", "address"), f"the Vault {name}"
    if (ci := environment.deployer) is not None:
        # One job of CI that deploys both, or looks at both, would be one identity in both.
        for place, subject in (("subject", ci.subject), ("preview_subject", ci.preview_subject)):
            yield ("job", ci.issuer, subject), ("deployer", place), f"CI's job {subject}"
        audience = f"the audience {ci.audience} of CI's tokens"
        yield ("audience", ci.issuer, ci.audience), ("deployer", "audience"), audience
    if (people := environment.operator) is not None:
        principal = people.aws_principal
        yield ("principal", principal), ("operator", "aws_principal"), f"the operators' IAM principal {principal}"
    trail = environment.trail
    for place in ("bucket", "access_log_bucket"):
        if trail is not None and (bucket := getattr(trail, place)):
            yield ("bucket", bucket), ("trail", place), f"the bucket {bucket}"
    for tool in environment.tools:
        values = dict(tool.values)
        if {"host", "database"} <= values.keys():
            key = ("database", values["host"], values.get("port"), values["database"])
            yield key, ("tools", tool.tool, "database"), f"the database {values['database']} at {values['host']}"
        if "bucket" in values:
            yield ("bucket", values["bucket"]), ("tools", tool.tool, "bucket"), f"the bucket {values['bucket']}"
