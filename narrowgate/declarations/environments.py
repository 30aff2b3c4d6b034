"""The environment's bindings, from the config of a Pulumi stack: which account, which Vault, which real things.

They stand once, in `Pulumi.<environment>.yaml`; the config of other stacks of the same environment names it. This
module must not run Pulumi.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

from narrowgate.compile import names
from narrowgate.compile.problems import Problem
from narrowgate.compile.subjects import check_subject
from narrowgate.declarations.errors import DeclarationError, DeclarationErrors
from narrowgate.declarations.models import (
    RETENTION_DAYS,
    ApprovalsDeclaration,
    AwsDeclaration,
    DeployerDeclaration,
    EnvironmentDeclaration,
    TrailDeclaration,
)
from narrowgate.declarations.source import KeyPath, Source, parse_source, read_source
from narrowgate.declarations.validation import locate, validate
from narrowgate.errors import Location
from narrowgate.plan import (
    ApprovalsBinding,
    AwsBinding,
    DeployerBinding,
    Environment,
    IdentityBinding,
    KubernetesBinding,
    Limits,
    OperatorBinding,
    PageBinding,
    ToolBinding,
    TrailBinding,
    VaultBinding,
    WorkflowBinding,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG_KEY: Final = "narrowgate:environment"
CONFIG_PATH: Final[KeyPath] = ("config", CONFIG_KEY)
_STACK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    """An environment and the file where its bindings stand."""

    environment: Environment
    source: Source

    def locate_binding(self, tool: str, name: str) -> Location:
        """Return where a tool's binding stands; where it is missing, where it would."""
        path = (*CONFIG_PATH, "tools", tool)
        return self.source.locate((*path, name) if self.source.holds((*path, name)) else path, key=True)


def load_environment(stack_config_dir: Path, stack: str) -> Environment:
    """Return the environment of `stack`, from `Pulumi.<stack>.yaml` in `stack_config_dir`.

    Where the file only names the environment (`narrowgate:environment: dev`), its bindings are read from that
    environment's own file. Raise `DeclarationErrors` with every mistake.
    """
    return read_environment(stack_config_dir, stack).environment


def read_environment(stack_config_dir: Path, stack: str) -> EnvironmentSource:
    """Return the environment of `stack` with its source; raise `DeclarationErrors` with every mistake."""
    source, value = _read_config(stack_config_dir, stack)
    if isinstance(value, str):
        named = value
        source, value = _read_config(stack_config_dir, named)
        if isinstance(value, str):
            hint = f"put the bindings of `{named}` here"
            raise DeclarationErrors(
                [source.error(f"`{CONFIG_KEY}` names another file again", CONFIG_PATH, "bad-value", hint)]
            )
    return EnvironmentSource(_validate(value, source, CONFIG_PATH), source)


def parse_environment(text: str) -> Environment:
    """Return the environment whose bindings are `text`, as the engine hands over a stack's `narrowgate:environment`.

    Raise `DeclarationErrors` with every mistake.
    """
    try:
        source = parse_source(text, Path(CONFIG_KEY))
    except DeclarationError as error:
        raise DeclarationErrors([error]) from error
    return _validate(source.value, source, ())


def _validate(value: object, source: Source, under: KeyPath) -> Environment:
    declaration, errors = validate(EnvironmentDeclaration, value, source, under)
    if declaration is not None:
        errors += locate(_check(declaration), source, under)
    if errors or declaration is None:
        raise DeclarationErrors(errors)
    return _to_environment(declaration)


def stack_config_dir_of(project: Path) -> Path:
    """Return the folder of the `Pulumi.<stack>.yaml` files: `stackConfigDir` of the `Pulumi.yaml` in `project`."""
    # Pulumi's own file: what is strict in a declaration (no anchors, …) is not asked of it.
    settings = YAML(typ="safe").load((project / "Pulumi.yaml").read_text(encoding="utf-8"))
    return (project / (settings.get("stackConfigDir") or ".")).resolve()


def find_environments(stack_config_dir: Path) -> list[str]:
    """Return the names of the stacks in `stack_config_dir` whose config holds an environment's own bindings, sorted.

    A file that cannot be read counts too, so that its mistakes are reported and not passed over.
    """
    found = []
    for path in sorted(stack_config_dir.glob("Pulumi.*.yaml")):
        name = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        try:
            _, value = _read_config(stack_config_dir, name)
        except DeclarationErrors:
            found.append(name)
            continue
        if not isinstance(value, str):
            found.append(name)
    return found


def _read_config(folder: Path, stack: str) -> tuple[Source, Any]:
    path = folder / f"Pulumi.{stack}.yaml"
    if not _STACK.fullmatch(stack):
        raise DeclarationErrors([DeclarationError(f"{stack!r} is no stack name", Location(folder, 1, 1), "bad-value")])
    try:
        source = read_source(path)
    except DeclarationError as error:
        raise DeclarationErrors([error]) from error
    config = source.value.get("config") if isinstance(source.value, dict) else None
    if not isinstance(config, dict) or CONFIG_KEY not in config:
        hint = "put the environment's bindings, or the name of the stack that holds them, there"
        raise DeclarationErrors(
            [source.error(f"the config key `{CONFIG_KEY}` is missing", ("config",), "missing-key", hint)]
        )
    return source, config[CONFIG_KEY]


def _check(declaration: EnvironmentDeclaration) -> Iterator[Problem]:
    identity, aws = declaration.identity, declaration.aws
    if (identity.jwks_url is None) == (not identity.public_keys):
        hint = "give `jwks_url`, or `public_keys` where Vault cannot reach the issuer"
        yield Problem(("identity",), "missing-key", "exactly one of `jwks_url` and `public_keys` is needed", hint)
    for problem in _check_brokers(aws, f"/narrowgate/{declaration.name}/"):
        yield problem.under("aws")
    for name, bound in declaration.workflows.items():
        for text in bound.cidrs:
            if not _is_network(text):
                yield Problem(("workflows", name, "cidrs"), "bad-format", f"{text} is no network", "as in 10.0.0.0/8")
    if declaration.deployer is not None:
        for problem in _check_deployer(declaration.deployer, declaration):
            yield problem.under("deployer")
    if f"{declaration.vault.operator_mount}/".startswith(f"{declaration.vault.auth_prefix}/"):
        message = f"the deployer may write every login under {declaration.vault.auth_prefix}/"
        yield Problem(("vault", "operator_mount"), "bad-value", message, "put operators' logins elsewhere")
    yield from _check_trail(declaration)
    prefix = declaration.vault.auth_prefix
    if declaration.approvals is not None and prefix in (names.APPROVERS_MOUNT, names.EXECUTORS_MOUNT):
        message = f"people or executors log in at `{prefix}`, so no agent can"
        yield Problem(("vault", "auth_prefix"), "bad-value", message, "set another path")


def _check_brokers(aws: AwsDeclaration, expected: str) -> Iterator[Problem]:
    """Yield what would let another account's identity, or one for both, be a broker."""
    for key, arn in (("broker_arn", aws.broker_arn), ("gated_broker_arn", aws.gated_broker_arn)):
        if arn is None:
            continue
        _, partition, _, _, account, _ = arn.split(":", 5)
        if (partition, account) != (aws.partition, aws.account):
            message = f"the broker is of {partition}/{account}, the environment of {aws.partition}/{aws.account}"
            yield Problem((key,), "foreign-account", message, "an environment's broker is in its own account")
        if expected not in arn:
            message = f"the broker's path is not {expected}"
            yield Problem((key,), "foreign-account", message, f"make the broker under {expected}")
    if aws.gated_broker_arn == aws.broker_arn:
        message = "one broker would assume agents' roles and gated ones"
        yield Problem(("gated_broker_arn",), "bad-value", message, "make an identity of its own for it")


def _check_deployer(deployer: DeployerDeclaration, declaration: EnvironmentDeclaration) -> Iterator[Problem]:
    """Yield what would let another job in than one known exactly, or one job be both identities."""
    if (deployer.jwks_url is None) == (not deployer.public_keys):
        hint = "give `jwks_url`, or `public_keys` where Vault cannot reach CI"
        yield Problem((), "missing-key", "exactly one of `jwks_url` and `public_keys` is needed", hint)
    for key, subject, claims in (
        ("subject", deployer.subject, deployer.claims),
        ("preview_subject", deployer.preview_subject, deployer.preview_claims),
    ):
        if problem := check_subject(subject, declaration.name, claims):
            yield problem.under(key)
    if deployer.subject == deployer.preview_subject:
        message = "the deployer and the preview are the same job"
        yield Problem(("preview_subject",), "bad-value", message, "let the preview run in a CI environment of its own")
    if f"{declaration.vault.ci_mount}/".startswith(f"{declaration.vault.auth_prefix}/"):
        message = (
            f"the deployer may write every login under {declaration.vault.auth_prefix}/, so its own can't be there"
        )
        yield Problem((), "bad-value", message, "set `vault: ci_mount` to another path")


def _check_trail(declaration: EnvironmentDeclaration) -> Iterator[Problem]:
    trail = declaration.trail
    if trail is None:
        return
    own = {"bucket": trail.bucket, "access_log_bucket": trail.access_log_bucket, "data_events": trail.data_events}
    for name, value in own.items():
        if trail.organization_trail_arn is not None and value is not None:
            message = f"an organization's trail is not made here, so it has no `{name}` here"
            yield Problem(("trail", name), "unknown-key", message, "give the one or the other", key=True)
        elif trail.organization_trail_arn is None and value is None:
            hint = "give it, or the `organization_trail_arn` of a trail that logs this account"
            yield Problem(("trail",), "missing-key", f"the key `{name}` is missing", hint)
    yield from _check_trail_buckets(trail, declaration)
    if trail.retention_days not in RETENTION_DAYS:
        hint = f"one of {', '.join(map(str, RETENTION_DAYS))}"
        yield Problem(("trail", "retention_days"), "bad-value", "CloudWatch Logs knows no such retention", hint)
    for index, entry in enumerate(trail.data_events or ()):
        _, partition, _, _, account, _ = entry.split(":", 5)
        if partition != declaration.aws.partition or account not in {"", declaration.aws.account}:
            message = f"{entry} is not of {declaration.aws.partition}/{declaration.aws.account}"
            yield Problem(("trail", "data_events", index), "foreign-account", message, "a trail logs its own account")


def _check_trail_buckets(trail: TrailDeclaration, declaration: EnvironmentDeclaration) -> Iterator[Problem]:
    if trail.bucket is not None and trail.bucket == trail.access_log_bucket:
        message = "a bucket's access log in the bucket itself would log itself without end"
        yield Problem(("trail", "access_log_bucket"), "bad-value", message, "give another bucket")
    for tool, bound in declaration.tools.items():
        if bound.get("bucket") in {trail.bucket, trail.access_log_bucket} - {None}:
            message = f"the bucket {bound['bucket']} is the audit trail's: no tool may write the record of what it does"
            yield Problem(("tools", tool, "bucket"), "bad-value", message, "give the tool another bucket")


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _to_environment(declaration: EnvironmentDeclaration) -> Environment:
    identity = declaration.identity.model_dump()
    identity["public_keys"] = tuple(declaration.identity.public_keys)
    vault = {**declaration.vault.model_dump(), "adopt": tuple(sorted(set(declaration.vault.adopt)))}
    limits, cluster, trail, approvals = (
        declaration.limits,
        declaration.kubernetes,
        declaration.trail,
        declaration.approvals,
    )
    aws = {**declaration.aws.model_dump(), "gated_broker_arn": declaration.aws.gated_broker_arn or ""}
    return Environment(
        name=declaration.name,
        aws=AwsBinding(**aws),
        vault=VaultBinding(**vault),
        identity=IdentityBinding(**identity),
        tools=tuple(
            ToolBinding(tool, tuple(sorted(values.items()))) for tool, values in sorted(declaration.tools.items())
        ),
        limits=Limits(max_ttl_seconds=limits.max_ttl, max_session_seconds=limits.max_session),
        kubernetes=None if cluster is None else KubernetesBinding(**cluster.model_dump()),
        workflows=tuple(
            WorkflowBinding(workflow=name, **{**bound.model_dump(), "cidrs": tuple(sorted(set(bound.cidrs)))})
            for name, bound in sorted(declaration.workflows.items())
        ),
        deployer=None if declaration.deployer is None else _to_deployer(declaration.deployer),
        operator=None
        if declaration.operator is None
        else OperatorBinding(tuple(sorted(set(declaration.operator.groups))), declaration.operator.aws_principal),
        trail=None if trail is None else _to_trail(trail),
        approvals=None if approvals is None else _to_approvals(approvals, declaration.identity.issuer),
    )


def _to_approvals(declaration: ApprovalsDeclaration, issuer: str) -> ApprovalsBinding:
    page = declaration.page
    bound = (
        None
        if page is None
        else PageBinding(page.url, page.client_id, page.discovery_url or issuer, tuple(sorted(set(page.scopes))))
    )
    return ApprovalsBinding(tuple(sorted(set(declaration.groups))), bound)


def _to_deployer(declaration: DeployerDeclaration) -> DeployerBinding:
    values = declaration.model_dump()
    values["public_keys"] = tuple(declaration.public_keys)
    for claims in ("claims", "preview_claims"):
        values[claims] = tuple(sorted(values[claims].items()))
    return DeployerBinding(**values)


def _to_trail(trail: TrailDeclaration) -> TrailBinding:
    given = {name: value for name, value in trail.model_dump().items() if value is not None}
    given["data_events"] = tuple(sorted(set(trail.data_events or ())))
    return TrailBinding(**{**given, "notify": tuple(sorted(set(trail.notify)))})
