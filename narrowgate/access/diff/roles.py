"""What one set of credentials can do, item by item, and which items another set does not cover.

All actions of a tool that an agent may call share one role, so the role's whole access counts, not an action's: in
PostgreSQL any column of the role goes with any of its rows. A gated action is a role of its own. This module must not
word or rank what it finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final, TypeAlias

from narrowgate.access.diff.iam_cover import judge_iam
from narrowgate.plan import (
    ActionAccess,
    CertificateGrant,
    ClaimGrant,
    Condition,
    FunctionGrant,
    Grant,
    IamGrant,
    RowPredicate,
    SecretGrant,
    TableGrant,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_ROW_CASES: Final = 4096


@dataclass(frozen=True, slots=True)
class IamItem:
    """One IAM action on one ARN pattern, under conditions."""

    action: str
    resource: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """One privilege on one table of one database; `database` is None where the plan does not name it."""

    database: str | None
    schema: str
    table: str
    privilege: str


@dataclass(frozen=True, slots=True)
class ColumnItem:
    """One column that a privilege reaches; `column` is empty for a privilege on whole rows (DELETE)."""

    relation: Relation
    column: str


@dataclass(frozen=True, slots=True)
class RowsItem:
    """Rows that a privilege reaches: those that match every predicate. `kinds` keeps 1, true and '1' apart."""

    relation: Relation
    rows: tuple[RowPredicate, ...]
    kinds: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class FunctionItem:
    """One function that may be executed."""

    database: str | None
    grant: FunctionGrant


@dataclass(frozen=True, slots=True)
class ClaimItem:
    """One action that a signed token names, for one audience and scope: the service behind it goes by all three."""

    action: str
    grant: ClaimGrant


@dataclass(frozen=True, slots=True)
class Missing:
    """An item that the other role does not cover. `decided` is False where nobody can tell; `witness` is an example."""

    item: Item
    decided: bool
    witness: str | None = None


Item: TypeAlias = IamItem | ColumnItem | RowsItem | FunctionItem | ClaimItem | SecretGrant | CertificateGrant


@dataclass(frozen=True, slots=True)
class Role:
    """What one set of credentials can do: each item, with the actions that give it."""

    items: Mapping[Item, tuple[str, ...]]
    iam: tuple[IamGrant, ...]

    @classmethod
    def of(cls, actions: Iterable[ActionAccess], database: str | None) -> Role:
        """Return the role that carries `actions`."""
        items: dict[Item, tuple[str, ...]] = {}
        iam: list[IamGrant] = []
        for action in actions:
            for grant in action.grants:
                if isinstance(grant, IamGrant):
                    iam.append(grant)
                for item in list_items(grant, action.name, database):
                    givers = items.get(item, ())
                    items[item] = givers if action.name in givers else (*givers, action.name)
        return cls(items, tuple(iam))


def list_items(grant: Grant, action: str, database: str | None) -> Iterator[Item]:
    """Yield the items that one grant of `action` is made of."""
    match grant:
        case IamGrant():
            for name, resource in product(grant.actions, grant.resources):
                yield IamItem(name, resource, grant.conditions)
        case TableGrant():
            kinds = tuple(tuple(type(value).__name__ for value in row.values) for row in grant.rows)
            for privilege in grant.privileges:
                relation = Relation(database, grant.schema, grant.table, privilege)
                for column in grant.columns or ("",):
                    yield ColumnItem(relation, column)
                yield RowsItem(relation, grant.rows, kinds)
        case FunctionGrant():
            yield FunctionItem(database, grant)
        case ClaimGrant():
            yield ClaimItem(action, grant)
        case _:
            yield grant


def find_missing(wanted: Role, having: Role) -> tuple[Missing, ...]:
    """Return the items of `wanted` that `having` does not cover: empty only where all access is within it."""
    candidates = (item for item in wanted.items if item not in having.items)
    return tuple(missing for item in candidates if (missing := _judge(item, having)) is not None)


def _judge(item: Item, having: Role) -> Missing | None:
    match item:
        case IamItem():
            grant = IamGrant((item.action,), (item.resource,), item.conditions)
            verdict = judge_iam(having.iam, grant)
            if verdict.within:
                return None
            return Missing(item, decided=verdict.within is not None, witness=verdict.witness)
        case RowsItem():
            return _judge_rows(item, having)
        case ClaimItem():
            # What a service makes of a scope is its own business: with another scope for an action that the same
            # service is told already, there is no telling which is wider.
            told = {(o.action, o.grant.audience) for o in having.items if isinstance(o, ClaimItem)}
            return Missing(item, decided=(item.action, item.grant.audience) not in told)
        case SecretGrant():
            known = (other for other in having.items if isinstance(other, SecretGrant) and other.path == item.path)
            covered = any(item.max_age_seconds <= other.max_age_seconds for other in known)
            return None if covered else Missing(item, decided=True)
        case _:
            return Missing(item, decided=True)


def _judge_rows(item: RowsItem, having: Role) -> Missing | None:
    """Rows are within others if each combination of values is; a comparison that is too long is undecided."""
    others = [o for o in having.items if isinstance(o, RowsItem) and o.relation == item.relation]
    sets = [_typed_values(other) for other in others]
    wanted = _typed_values(item)
    if any(_within(wanted, other) for other in sets):
        return None
    cases = 1
    for values in wanted.values():
        cases *= len(values)
    if cases > MAX_ROW_CASES:
        return Missing(item, decided=not sets)
    for combination in product(*wanted.values()):
        case = {column: frozenset((value,)) for column, value in zip(wanted, combination, strict=True)}
        if not any(_within(case, other) for other in sets):
            # Where a row has only one shape, the grant's words have said it already.
            return Missing(item, decided=True, witness=_say_case(case) if cases > 1 else None)
    return None


TypedValues: TypeAlias = dict[str, frozenset[tuple[str, str | int | bool]]]


def _typed_values(item: RowsItem) -> TypedValues:
    values: TypedValues = {}
    for row, kinds in zip(item.rows, item.kinds, strict=True):
        typed = frozenset(zip(kinds, row.values, strict=True))
        values[row.column] = values[row.column] & typed if row.column in values else typed
    return values


def _within(narrow: TypedValues, wide: TypedValues) -> bool:
    if any(not values for values in narrow.values()):
        return True  # no row matches
    return all(column in narrow and narrow[column] <= values for column, values in wide.items())


def _say_case(case: TypedValues) -> str:
    parts = [f"{column} = {value!r}" for column, typed in case.items() for _, value in typed]
    return f"a row with {' and '.join(parts)}" if parts else "any row"
