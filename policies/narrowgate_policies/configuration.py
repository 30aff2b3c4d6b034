"""The pack's settings: the environment's bindings, as the stack's own configuration holds them, and its access lock.

The engine hands over `narrowgate:environment`. Where that only names the environment (a foundation, a shard), the
bindings stand in `Pulumi.<environment>.yaml`, as they do for the program. The stacks folder is the one beside the pack;
two variables of the engine's own environment, which a change of the program can't reach, say otherwise. Nothing is
guessed: bindings or a lock that can't be read leave the strictest settings, and `access-within-lock` then refuses.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pulumi

from narrowgate.access.exceptions import in_force, today
from narrowgate.access.lock import lock_file
from narrowgate.access.locked import LockedDocuments
from narrowgate.declarations import load_environment, require_separation, stack_config_dir_of
from narrowgate.declarations.environments import parse_environment
from narrowgate.errors import NarrowgateError
from narrowgate.rules import Settings, settings_of

if TYPE_CHECKING:
    from narrowgate.plan import Environment, ForeignName

STACKS_VARIABLE: Final = "NARROWGATE_STACKS"
"""Names the folder of `locks/` where that is not the one beside the pack."""
STACK_CONFIG_VARIABLE: Final = "NARROWGATE_STACK_CONFIG_DIR"
"""Names the folder of the `Pulumi.<stack>.yaml` files where that is not the stacks folder."""


class UnboundStackError(NarrowgateError):
    """A stack whose configuration does not say which environment it is of."""

    code = "stack-unbound"
    hint = "put narrowgate:environment, with the bindings or the environment's name, into the stack's configuration"


def read_settings(stacks: Path) -> Settings:
    """Return the settings for the stack that is being deployed; `stacks` is the folder of `locks/` beside the pack."""
    stacks = Path(os.environ.get(STACKS_VARIABLE) or stacks)
    text = pulumi.Config("narrowgate").get("environment")
    if not text:
        return Settings(lock=UnboundStackError("the stack's configuration names no environment"))
    try:
        if text.lstrip().startswith("{"):
            environment = parse_environment(text)
        else:
            environment = load_environment(_stack_config_dir(stacks), text)
        foreign = require_separation(environment, stacks, _stack_config_dir(stacks))
    except NarrowgateError as error:
        return Settings(lock=error)
    return settings_for(environment, lock_file(stacks, environment.name), foreign)


def _stack_config_dir(stacks: Path) -> Path:
    """Return the folder of the stacks' configuration: as the variable says, else as the project that `stacks` is of."""
    if named := os.environ.get(STACK_CONFIG_VARIABLE):
        return Path(named)
    project = stacks.parent
    return stack_config_dir_of(project) if (project / "Pulumi.yaml").is_file() else stacks


def settings_for(environment: Environment, lock: Path, foreign: tuple[ForeignName, ...] = ()) -> Settings:
    """Return the settings of `environment`, with its lock at `lock` or why that can't be read.

    `foreign` are the names of what other environments are bound to.
    Only what the lock states is an exception, and only until it expires.
    """
    try:
        locked = LockedDocuments.read(environment, lock)
    except NarrowgateError as error:
        return replace(settings_of(environment, error), foreign=foreign)
    exceptions = in_force(locked.exceptions, today())
    return replace(settings_of(environment, locked), exceptions=exceptions, foreign=foreign)
