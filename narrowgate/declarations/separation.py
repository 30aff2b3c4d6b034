"""Environments have nothing in common: which real things each has, and what two of them share.

`narrowgate check` judges all environments together, the program and the pack the one that they deploy against all
others that are bound beside it. This module must not judge documents: the rule `environment-no-crossing` does, by the
names that are found here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from narrowgate.declarations.environments import CONFIG_PATH, find_environments, read_environment
from narrowgate.declarations.errors import DeclarationErrors
from narrowgate.plan import ForeignName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from narrowgate.declarations.environments import EnvironmentSource
    from narrowgate.declarations.errors import DeclarationError
    from narrowgate.declarations.source import KeyPath
    from narrowgate.plan import Environment


@dataclass(frozen=True, slots=True)
class RealThing:
    """Something real that an environment is bound to.

    `key` is what makes it the same as another's, `path` where it is bound, `what` how people
    call it, `names` the texts that mean it, wherever they stand.
    """

    key: tuple[object, ...]
    path: KeyPath
    what: str
    names: tuple[str, ...]


def list_real_things(environment: Environment) -> Iterator[RealThing]:
    """Yield each real thing that `environment` is bound to."""
    aws, vault = environment.aws, environment.vault
    account = ("account", aws.partition, aws.account)
    yield RealThing(account, ("aws", "account"), f"the AWS account {aws.account}", (aws.account,))
    # Two namespaces of one server are two Vaults.
    name = f"{vault.address} {vault.namespace or ''}".strip()
    url = urlsplit(vault.address)
    server = (url.hostname or "", url.netloc)
    yield RealThing(("vault", vault.address, vault.namespace), ("vault", "address"), f"the Vault {name}", server)
    if (ci := environment.deployer) is not None:
        # One job of CI that deploys both, or looks at both, would be one identity in both.
        for place, subject in (("subject", ci.subject), ("preview_subject", ci.preview_subject)):
            yield RealThing(("job", ci.issuer, subject), ("deployer", place), f"CI's job {subject}", (subject,))
        what = f"the audience {ci.audience} of CI's tokens"
        yield RealThing(("audience", ci.issuer, ci.audience), ("deployer", "audience"), what, (ci.audience,))
    if (people := environment.operator) is not None:
        who = people.aws_principal
        yield RealThing(
            ("principal", who), ("operator", "aws_principal"), f"the operators' IAM principal {who}", (who,)
        )
    for place in ("bucket", "access_log_bucket"):
        if environment.trail is not None and (bucket := getattr(environment.trail, place)):
            yield RealThing(("bucket", bucket), ("trail", place), f"the bucket {bucket}", (bucket,))
    for tool in environment.tools:
        yield from _list_bound(tool.tool, dict(tool.values))


def _list_bound(tool: str, values: dict[str, str | int]) -> Iterator[RealThing]:
    path, host, bucket = ("tools", tool), values.get("host"), values.get("bucket")
    if host is not None and "database" in values:
        port, database = values.get("port"), values["database"]
        key = ("database", host, port, database)
        what = f"the database {database} at {host}"
        yield RealThing(key, (*path, "database"), what, (str(host), f"{host}:{port}"))
    if bucket is not None:
        yield RealThing(("bucket", bucket), (*path, "bucket"), f"the bucket {bucket}", (str(bucket),))


def find_shared(sources: Sequence[EnvironmentSource]) -> Iterator[DeclarationError]:
    """Yield what two environments share: no account, Vault, mount or data of one may be another's.

    The identity provider may be the company's one: agents' audiences differ by environment.
    """
    seen: dict[tuple[object, ...], str] = {}
    for source in sorted(sources, key=lambda entry: entry.environment.name):
        for thing in list_real_things(source.environment):
            other = seen.setdefault(thing.key, source.environment.name)
            if other != source.environment.name:
                yield _shared(source, thing, f"{source.environment.name} and {other} share {thing.what}")


def require_separation(environment: Environment, *folders: Path) -> tuple[ForeignName, ...]:
    """Return the names of what every other environment is bound to in `folders`, of which `environment` has none.

    `folders` hold `Pulumi.<stack>.yaml` files. Raise `DeclarationErrors` where `environment` shares something with
    another, or where another's bindings can't be read: then nobody can tell.
    """
    sources, errors = _read_sources(folders)
    others = [source for source in sources if source.environment.name != environment.name]
    own = {thing.key for thing in list_real_things(environment)}
    errors += [
        _shared(other, thing, f"{environment.name} and {other.environment.name} share {thing.what}")
        for other in others
        for thing in list_real_things(other.environment)
        if thing.key in own
    ]
    if errors:
        raise DeclarationErrors(errors)
    return _find_foreign_names(environment, (source.environment for source in others))


def _shared(source: EnvironmentSource, thing: RealThing, message: str) -> DeclarationError:
    hint = "environments have nothing in common: give each its own"
    return source.source.error(message, (*CONFIG_PATH, *thing.path), "shared-environment", hint)


def _find_foreign_names(environment: Environment, others: Iterable[Environment]) -> tuple[ForeignName, ...]:
    """Return the names of what `others` are bound to, but for those that mean something of `environment` too."""
    own = {name for thing in list_real_things(environment) for name in thing.names}
    found = {
        name: ForeignName(name, thing.what, other.name)
        for other in others
        if other.name != environment.name
        for thing in list_real_things(other)
        for name in thing.names
        if name and name not in own
    }
    return tuple(found[name] for name in sorted(found))


def _read_sources(folders: Iterable[Path]) -> tuple[list[EnvironmentSource], list[DeclarationError]]:
    sources: list[EnvironmentSource] = []
    errors: list[DeclarationError] = []
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        for stack in find_environments(folder):
            try:
                sources.append(read_environment(folder, stack))
            except DeclarationErrors as error:
                errors += error.errors
    return sources, errors
