"""Shards: the workflows of one environment spread over several stacks, since `up` is quadratic in a stack's size.

A stack's config says `narrowgate:shard: 2/8`. Which shard a workflow is in follows from its name alone, so adding,
changing or removing one touches no other. Plan, rules and lock never look at shards. This module must not run Pulumi.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from narrowgate.declarations.environments import CONFIG_KEY, CONFIG_PATH
from narrowgate.declarations.errors import DeclarationError, DeclarationErrors, suggest
from narrowgate.declarations.source import KeyPath, Source, read_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARD_KEY: Final = "narrowgate:shard"
STACK_KEY: Final = "narrowgate:stack"
FOUNDATION: Final = "foundation"
MAX_SHARDS: Final = 256
_SHARD: Final = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")
_SHARD_PATH: Final[KeyPath] = ("config", SHARD_KEY)
_STACK_PATH: Final[KeyPath] = ("config", STACK_KEY)


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `number` (from 1) of `total`."""

    number: int
    total: int

    def __str__(self) -> str:
        """Return it as a stack's config spells it."""
        return f"{self.number}/{self.total}"

    def holds(self, workflow: str) -> bool:
        """Return whether the workflow of this name is in this shard."""
        return self.number == shard_of(workflow, self.total)


WHOLE: Final = Shard(1, 1)
"""What a stack without `narrowgate:shard` deploys: everything."""


def shard_of(workflow: str, total: int) -> int:
    """Return the number of the shard, from 1 to `total`, that a workflow is in: a pure function of its name.

    Each shard bids with a hash, and the highest bid gets it (rendezvous hashing: Thaler and Ravishankar, 1998). From
    `total` to `total + 1` a workflow therefore stays where it is or moves to the new shard, never between old ones.
    """
    return max(range(1, total + 1), key=lambda number: sha256(f"{number}\0{workflow}".encode()).digest())


@dataclass(frozen=True, slots=True)
class _StackConfig:
    """What one stack file says of itself; `environment` is the one that it is of."""

    name: str
    source: Source
    environment: str
    shard: Shard | None


def load_shard(stack_config_dir: Path, stack: str) -> Shard:
    """Return which part of its environment's workflows `stack` deploys: all of them where it says no shard.

    Raise `DeclarationErrors` where the shards of its environment don't fit together: then a workflow would be deployed
    twice, or by nobody.
    """
    errors: list[DeclarationError] = []
    own = _read_stack(stack_config_dir, stack, errors)
    if errors:
        raise DeclarationErrors(errors)
    if own is None:
        return WHOLE
    if found := list(find_shard_mistakes(stack_config_dir, own.environment)):
        raise DeclarationErrors(found)
    return own.shard or WHOLE


def find_shard_mistakes(stack_config_dir: Path, environment: str) -> Iterator[DeclarationError]:
    """Yield what is wrong with the shards of one environment's stacks, each at its place."""
    errors: list[DeclarationError] = []
    names = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in stack_config_dir.glob("Pulumi.*.yaml")]
    read = [_read_stack(stack_config_dir, name, errors, environment) for name in sorted(names)]
    yield from errors
    stacks = [stack for stack in read if stack is not None and stack.environment == environment]
    if not errors and any(stack.shard is not None for stack in stacks):
        yield from _compare(stacks)


def _compare(stacks: list[_StackConfig]) -> Iterator[DeclarationError]:
    """Yield where the workflow stacks of one environment, some of which are shards, are not exactly shards 1 to n."""
    shards = [(stack, stack.shard) for stack in stacks if stack.shard is not None]
    whole = [stack for stack in stacks if stack.shard is None]
    first, total = shards[0][0], max(shard.total for _, shard in shards)
    for stack in whole:
        message = f"{stack.name} deploys every workflow of {stack.environment}, and {first.name} is a shard of it"
        yield stack.source.error(message, CONFIG_PATH, "shard-mismatch", f"add `{SHARD_KEY}: 1/{total}`", key=True)
    seen: dict[Shard, str] = {}
    for stack, shard in shards:
        if shard.total != total:
            message = f"{stack.name} is one of {shard.total} shards, others of {stack.environment} are of {total}"
            yield stack.source.error(message, _SHARD_PATH, "shard-mismatch", "give all stacks the same total")
        elif (other := seen.setdefault(shard, stack.name)) != stack.name:
            message = f"{stack.name} and {other} are both shard {shard} of {stack.environment}"
            yield stack.source.error(message, _SHARD_PATH, "shard-mismatch", "give each stack a number of its own")
    missing = [number for number in range(1, total + 1) if Shard(number, total) not in seen]
    if missing and not whole and len(shards) == len(seen):
        hint = f"add a stack with `{CONFIG_KEY}: {first.environment}` and `{SHARD_KEY}: {missing[0]}/{total}`"
        message = f"no stack deploys shard {missing[0]}/{total} of {first.environment}"
        yield first.source.error(message, _SHARD_PATH, "shard-missing", hint)


def _read_stack(
    folder: Path, name: str, errors: list[DeclarationError], only: str | None = None
) -> _StackConfig | None:
    """Return what a workflow stack says of itself; None for a foundation, and for a file that is none of ours.

    Mistakes go to `errors`; with `only`, those of that environment's stacks. What `read_environment` says is not said
    again here.
    """
    try:
        source = read_source(folder / f"Pulumi.{name}.yaml")
    except DeclarationError:
        return None
    config = source.value.get("config") if isinstance(source.value, dict) else None
    if not isinstance(config, dict) or CONFIG_KEY not in config:
        return None
    value = config[CONFIG_KEY]
    environment = str(value.get("name", name) if isinstance(value, dict) else value)
    if only is not None and environment != only:
        return None
    kind = config.get(STACK_KEY)
    if kind is not None and kind != FOUNDATION:
        hint = suggest(str(kind), [FOUNDATION])
        errors.append(source.error(f"{kind!r} is no kind of stack", _STACK_PATH, "unknown-value", hint))
        return None
    shard = _parse_shard(config[SHARD_KEY], source, errors) if SHARD_KEY in config else None
    if kind == FOUNDATION:
        if SHARD_KEY in config:
            message = "a foundation has no shards: it holds no workflow"
            errors.append(source.error(message, _SHARD_PATH, "shard-mismatch", "take the line away", key=True))
        return None
    return _StackConfig(name, source, environment, shard)


def _parse_shard(value: Any, source: Source, errors: list[DeclarationError]) -> Shard | None:  # noqa: ANN401 - YAML
    match = _SHARD.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        hint = f"as in `{SHARD_KEY}: 2/8`"
        errors.append(source.error(f"{value!r} is no shard", _SHARD_PATH, "bad-format", hint))
        return None
    number, total = int(match[1]), int(match[2])
    if not 1 <= total <= MAX_SHARDS:
        message = f"{total} shards are not possible"
        errors.append(source.error(message, _SHARD_PATH, "bad-value", f"from 1 to {MAX_SHARDS}"))
    elif not 1 <= number <= total:
        message = f"there is no shard {number} of {total}"
        errors.append(source.error(message, _SHARD_PATH, "bad-value", f"shards are numbered from 1 to {total}"))
    else:
        return Shard(number, total)
    return None
