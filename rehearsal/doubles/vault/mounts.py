"""Mounts of secrets engines and auth methods, and what is written beside them in one resource."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import hvac

from rehearsal.doubles.resource import Live, ResourceType
from rehearsal.doubles.vault.settings import Fields, Translation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rehearsal.doubles.vault.client import Vault
    from rehearsal.doubles.wire import Values

AUTH: Final = "sys/auth"
NO_MOUNT: Final = ("No secret engine mount", "No auth engine", "no matching mount")

# What `tune` can change later; the rest of a mount is fixed when it is made.
TUNABLE: Final = Fields(
    {
        "description": "",
        "defaultLeaseTtlSeconds": 0,
        "maxLeaseTtlSeconds": 0,
        "listingVisibility": "",
        "auditNonHmacRequestKeys": [],
        "auditNonHmacResponseKeys": [],
        "passthroughRequestHeaders": [],
        "allowedResponseHeaders": [],
        "options": {},
    },
    {
        "defaultLeaseTtlSeconds": Translation("default_lease_ttl"),
        "maxLeaseTtlSeconds": Translation("max_lease_ttl"),
    },
)
FIXED: Final = Fields({"type": "", "local": False, "sealWrap": False, "externalEntropyAccess": False})
DESCRIPTION: Final = Fields({"description": ""})
# An auth backend has its times, as texts, in a block of its own.
TUNE_BLOCK: Final = Fields(
    {
        "defaultLeaseTtl": "",
        "maxLeaseTtl": "",
        "listingVisibility": "",
        "tokenType": "default-service",
        "auditNonHmacRequestKeys": [],
        "auditNonHmacResponseKeys": [],
        "passthroughRequestHeaders": [],
        "allowedResponseHeaders": [],
    }
)
SECONDS_OF: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION: Final = re.compile(r"(\d+)([smhd]?)")
OUTSIDE_CONFIG: Final = frozenset({"description", "options"})


def duration_seconds(text: object) -> int:
    """Return the seconds of a duration as Vault writes it: a number of seconds, or `1h30m`; 0 for nothing."""
    return sum(int(number) * SECONDS_OF[unit or "s"] for number, unit in DURATION.findall(str(text)))


def same_tune(one: Values, other: Values) -> bool:
    """Say whether two tune blocks mean the same: the server answers in seconds."""

    def in_seconds(block: Values) -> Values:
        return {**block, **{name: duration_seconds(block.get(name)) for name in ("defaultLeaseTtl", "maxLeaseTtl")}}

    return TUNE_BLOCK.same(in_seconds(one), in_seconds(other))


def read_mount(vault: Vault, path: str) -> Values | None:
    """Return what the server says of the mount at `path` (an API path under `sys/`), or None where there is none."""
    try:
        return vault.read(path)
    except hvac.exceptions.InvalidRequest as error:
        if any(text in str(error) for text in NO_MOUNT):
            return None
        raise


def enable_mount(vault: Vault, path: str, inputs: Values) -> str:
    """Make a mount at `path` (under `sys/`) and return its accessor."""
    tune = TUNABLE.encode({}, inputs)
    config = {name: value for name, value in tune.items() if name not in OUTSIDE_CONFIG}
    outside = {name: value for name, value in tune.items() if name in OUTSIDE_CONFIG}
    vault.write(path, {**FIXED.encode({}, inputs), **outside, "config": config})
    mount = read_mount(vault, path)
    return str((mount or {}).get("accessor", ""))


def tune_mount(vault: Vault, path: str, old: Values, new: Values) -> None:
    """Write the tunable properties that changed."""
    data = TUNABLE.encode(old, new)
    if data != TUNABLE.encode(old, old):
        vault.write(f"{path}/tune", data)


def mount_inputs(mount: Values, tunable: Fields = TUNABLE) -> Values:
    """Return the properties of a mount that the server described."""
    return {**FIXED.decode(mount), **tunable.decode({**mount, **mount.get("config", {})})}


def _create(vault: Vault, inputs: Values) -> tuple[str, Values]:
    path = inputs["path"].strip("/")
    return path, {"accessor": enable_mount(vault, f"sys/mounts/{path}", inputs)}


def _read(vault: Vault, path: str) -> Live | None:
    mount = read_mount(vault, f"sys/mounts/{path}")
    if mount is None:
        return None
    return Live({"path": path, **mount_inputs(mount)}, {"accessor": mount["accessor"]})


def _update(vault: Vault, path: str, old: Values, new: Values) -> Values:
    tune_mount(vault, f"sys/mounts/{path}", old, new)
    return {}


def _delete(vault: Vault, path: str, _state: Values) -> None:
    vault.delete(f"sys/mounts/{path}")


MOUNT: Final[ResourceType[Vault]] = ResourceType(
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    required=frozenset({"path", "type"}),
    replace=frozenset({"path", *FIXED.absent}),
    identity=frozenset({"path"}),
    computed=frozenset({"accessor"}),
    known=frozenset({"path", *FIXED.absent, *TUNABLE.absent}),
    absent={**FIXED.absent, **TUNABLE.absent},
)


@dataclass(frozen=True, slots=True)
class ConfiguredMount:
    """A mount and its configuration in one resource, as the SDK has them.

    `prefix` is `sys/mounts`, or `sys/auth` where the tunable settings are a block of their own; `config` is the API
    path of the mount's configuration, with a place for its path; `kind` is its type where the program names none.
    """

    prefix: str
    config: str
    fields: Fields
    kind: str

    @property
    def tunable(self) -> Fields:
        """Return what can be tuned outside the block `tune`."""
        return DESCRIPTION if self.prefix == AUTH else TUNABLE

    @property
    def block(self) -> frozenset[str]:
        """Return the block of tunable settings, where there is one."""
        return frozenset({"tune"}) if self.prefix == AUTH else frozenset()

    def create(self, vault: Vault, inputs: Values) -> tuple[str, Values]:
        """Make the mount and configure it; where the configuration is refused, the mount does not stay."""
        path = inputs["path"].strip("/")
        accessor = enable_mount(vault, f"{self.prefix}/{path}", {"type": self.kind, **inputs})
        try:
            self._configure(vault, path, {}, inputs)
        except hvac.exceptions.VaultError:
            vault.delete(f"{self.prefix}/{path}")  # else the next run would find a mount that is in nobody's state
            raise
        return path, {"accessor": accessor}

    def read(self, vault: Vault, path: str) -> Live | None:
        """Read the mount and its configuration."""
        mount = read_mount(vault, f"{self.prefix}/{path}")
        if mount is None:
            return None
        # A type that has no configuration of its own may not have the path either.
        data = (vault.read(self.config.format(path=path)) if self.fields.absent else None) or {}
        inputs = {"path": path, **mount_inputs(mount, self.tunable), **self.fields.decode(data)}
        if self.block:
            inputs["tune"] = TUNE_BLOCK.decode(mount.get("config", {}))
        return Live(inputs, {"accessor": mount["accessor"]})

    def update(self, vault: Vault, path: str, old: Values, new: Values) -> Values:
        """Tune the mount and configure it."""
        tune_mount(vault, f"{self.prefix}/{path}", old, new)
        self._configure(vault, path, old, new)
        return {}

    def delete(self, vault: Vault, path: str, _state: Values) -> None:
        """Delete the mount and all in it."""
        vault.delete(f"{self.prefix}/{path}")

    def _configure(self, vault: Vault, path: str, old: Values, new: Values) -> None:
        data = self.fields.encode(old, new)
        if data:
            vault.write(self.config.format(path=path), data)
        if "tune" in new or "tune" in old:
            tune = TUNE_BLOCK.encode(old.get("tune") or {}, new.get("tune") or {})
            vault.write(f"{self.prefix}/{path}/tune", tune)


def configured_mount(  # noqa: PLR0913 -- the columns of a table
    mount: ConfiguredMount,
    *,
    defaults: Mapping[str, Any],
    secrets: frozenset[str] = frozenset(),
    provider_only: frozenset[str] = frozenset(),
    required: frozenset[str] = frozenset({"path"}),
    equal: Mapping[str, Callable[[Any, Any], bool]] | None = None,
    adopt: Callable[[Values, Values], Values] = lambda read, _: read,
) -> ResourceType[Vault]:
    """Return the type of `mount`; `provider_only` are properties that say how, not what, and change nothing here."""
    settable = frozenset({*FIXED.absent, *mount.tunable.absent, *mount.fields.absent, *mount.block})
    return ResourceType(
        create=mount.create,
        read=mount.read,
        update=mount.update,
        delete=mount.delete,
        required=required,
        replace=frozenset({"path", *FIXED.absent}),
        identity=frozenset({"path"}),
        computed=frozenset({"accessor"}),
        known=settable | {"path"} | provider_only,
        absent={**FIXED.absent, **mount.tunable.absent, **mount.fields.absent, "type": mount.kind},
        only_if_set=mount.block,
        equal={"tune": same_tune, **(equal or {})},
        adopt=adopt,
        secrets=secrets,
        defaults=defaults,
    )
