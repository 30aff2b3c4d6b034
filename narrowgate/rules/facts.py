"""What is true of one stack, as plain frozen values: the only thing that rules look at.

A fact says what a resource *is* (a role, a policy's text, a login), not how Pulumi, Terraform or a file spells it.
Every fact names where it stands (`at`: a resource's URN or a file's path), so that a finding can name it too.
Documents are text: parsing is `narrowgate.access`'s, and equal text is parsed once. Settings of Vault's things keep
Vault's own API field names. This module holds values only: it must not parse, judge or read files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Root of all facts. `at` is where it stands; `line` counts from 1 where `at` is a file."""

    at: str
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Fact):
    """Something that a rule must read and that is not known (at preview: it holds an output). It can't be judged.

    `what` names it for people (`assumeRolePolicy of aws:iam/role:Role`), `why` says what it might hide.
    """

    what: str
    why: str


# IAM ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IamIdentity(Fact):
    """An IAM identity: `kind` is `role`, `user`, `group` or `permission-set`.

    `boundary` is the ARN of its permissions boundary; None where it has none. `trust` is a role's trust policy (JSON
    text), None for all other kinds. `max_session_seconds` is 0 where the kind has no sessions of its own.
    """

    kind: str
    name: str
    path: str = "/"
    boundary: str | None = None
    trust: str | None = None
    max_session_seconds: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IamPolicy(Fact):
    """An identity policy's JSON text that `kind`/`holder` holds inline, or (`holder` empty) that stands by itself.

    `statement_lines` are the lines on which its statements start, where it stands in a file.
    """

    kind: str
    holder: str
    name: str
    document: str
    statement_lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IamManagedPolicy(Fact):
    """A customer-managed policy: its `name` (unique in an account whatever the path) and its JSON text."""

    name: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IamAttachment(Fact):
    """A managed policy (`policy`: its ARN) attached to the identity `kind`/`holder`."""

    kind: str
    holder: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IamTrust(Fact):
    """A trust policy that stands by itself, without its role (a file that somebody lints)."""

    document: str
    statement_lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IamLongLivedKey(Fact):
    """A secret of an IAM user that does not expire: `kind` is `access key`, `password`, `SSH key`."""

    kind: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IamMembership(Fact):
    """The IAM user `user` stands in `groups`."""

    user: str
    groups: tuple[str, ...]


# Vault --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultPolicy(Fact):
    """A Vault ACL policy: its `name` and its HCL or JSON `text`."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultAuthMount(Fact):
    """An auth mount: its `path` without `auth/`, its `method` (jwt, approle, …) and its settings."""

    path: str
    method: str
    settings: Mapping[str, Any]
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultAuthSettings(Fact):
    """What an auth mount believes, where that stands apart from the mount at `path` (without `auth/`)."""

    path: str
    method: str
    settings: Mapping[str, Any]
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultAuthRole(Fact):
    """A role (or user, or group mapping) of an auth mount: what lets somebody log in, and with which policies.

    `mount` is its auth mount's path without `auth/`; `settings` are Vault's API fields, without those that are not
    known yet (`unknown`).
    """

    method: str
    mount: str
    name: str
    settings: Mapping[str, Any]
    unknown: frozenset[str] = frozenset()

    @property
    def policies(self) -> tuple[str, ...]:
        """Return the policies that a login gets."""
        return names(self.settings.get("token_policies")) + names(self.settings.get("policies"))


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSecretRole(Fact):
    """A role of a secrets engine. `engine` is its type (aws, database, pki, …); `credentials` are the paths that mint.

    `static` says that it hands out a secret which Vault does not mint anew for each reader; `unknown` names settings
    that are not known yet.
    """

    engine: str
    mount: str
    name: str
    credentials: tuple[str, ...]
    settings: Mapping[str, Any]
    static: bool = False
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultWrite(Fact):
    """A raw write of `data` to `path` of Vault that no other fact describes."""

    path: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultStoredSecret(Fact):
    """A value that somebody stores at `path` (a KV secret): it lives until somebody changes it."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultToken(Fact):
    """A Vault token made by the stack itself, hence kept in its state."""

    policies: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultEntity(Fact):
    """An identity entity; `policies` flow into each of its tokens."""

    name: str
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultEntityAlias(Fact):
    """A login of the entity `entity` (its id or name): `name` at the auth mount `mount` (its accessor or path)."""

    entity: str
    mount: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultGroup(Fact):
    """An identity group; `policies` flow into the token of each member entity. `kind` is internal or external."""

    name: str
    policies: tuple[str, ...]
    kind: str = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultAudit(Fact):
    """An audit device: its `path`, its `kind` (file, socket, syslog) and its options."""

    path: str
    kind: str
    options: Mapping[str, Any]


# Others -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRole(Fact):
    """A role of a database server: its `attributes` (SUPERUSER, …) and the roles that it stands in."""

    name: str
    attributes: tuple[str, ...] = ()
    member_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseGrant(Fact):
    """`privileges` on `target` for the database role `role`; `grantable` where the role may pass them on."""

    role: str
    privileges: tuple[str, ...]
    target: str
    grantable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseGroup(Fact):
    """A PostgreSQL group role that a deploy keeps in step: its `name`, and the inputs of `PostgresAccess`."""

    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReference(Fact):
    """The stack reads another stack's outputs (`stack`: its full or short name)."""

    stack: str


# The audit trail ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation(Fact):
    """This stack makes an environment's foundation: whatever an environment must have once, it must have here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail(Fact):
    """A CloudTrail trail that the stack makes.

    `bucket`, `key` and `log_group` are how the stack calls what it uses (a name, an ARN or a URN; empty where it has
    none). `management` says whether all management events are logged, reads and writes; `data` are the ARNs of data
    whose reads and writes are logged, those that end in `*` as beginnings of ARNs.
    """

    name: str
    bucket: str = ""
    key: str = ""
    log_group: str = ""
    all_regions: bool = False
    global_events: bool = True
    validated: bool = False
    logging: bool = True
    management: bool = True
    data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailReference(Fact):
    """The environment is logged by the trail `arn`, which an organization made elsewhere."""

    arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionKey(Fact):
    """A KMS key: how others call it (`names`: URN, ARN, id), and whether it is rotated."""

    names: tuple[str, ...]
    rotated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketPrivacy(Fact):
    """A public access block of `bucket` (empty: of the whole account); `missing` are the blocks that it leaves out."""

    bucket: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketLog(Fact):
    """Who reads `bucket` is logged, in the bucket `target`."""

    bucket: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFilter(Fact):
    """A filter that counts the events of `log_group` which match `pattern`, in `metric` (`namespace/name`)."""

    name: str
    log_group: str
    pattern: str
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAlarm(Fact):
    """An alarm over `metric` (`namespace/name`) that tells somebody of the first event, if `tells` is set."""

    metric: str
    tells: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTexts(Fact):
    """All texts in a resource of the type `kind`, by the property that they stand in; whatever the type."""

    kind: str
    texts: Mapping[str, tuple[str, ...]] = field(repr=False)


def names(value: object) -> tuple[str, ...]:
    """Return a setting that Vault takes as a list or as one comma-separated text, as a tuple of non-empty names."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(text for item in value if (text := str(item).strip()))
