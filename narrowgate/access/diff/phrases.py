"""Puts the items that a role gains or loses into few sentences. This module must not judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from narrowgate.access.diff.roles import ClaimItem, ColumnItem, FunctionItem, IamItem, Missing, Relation, Role, RowsItem
from narrowgate.access.words import say_grant
from narrowgate.plan import CertificateGrant, Condition, IamGrant, RowPredicate, SecretGrant, TableGrant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence about `actions`; `decided` and `witness` as in `Missing`."""

    actions: Names
    text: str
    decided: bool
    witness: str | None


def phrase_missing(missing: Iterable[Missing], role: Role) -> list[Phrase]:
    """Return sentences about items of `role` that another role does not cover."""
    iam: list[tuple[IamItem, Missing]] = []
    tables: dict[Relation, _Table] = {}
    rest: list[Phrase] = []
    for found in missing:
        item = found.item
        if isinstance(item, IamItem):
            iam.append((item, found))
        elif isinstance(item, (ColumnItem, RowsItem)):
            tables.setdefault(item.relation, _Table()).add(item, found)
        else:
            rest.append(Phrase(role.items[item], _say_item(item), found.decided, found.witness))
    return [*_phrase_iam(iam, role), *_phrase_tables(tables, role), *rest]


def _say_item(item: FunctionItem | ClaimItem | SecretGrant | CertificateGrant) -> str:
    match item:
        case FunctionItem():
            return say_grant(item.grant, item.database)
        case ClaimItem():
            return f"{say_grant(item.grant)}, for the action {item.action}"
        case _:
            return say_grant(item)


def _phrase(actions: Names, text: str, found: Iterable[Missing]) -> Phrase:
    """Return a sentence; one decided item decides it, and its witness comes first."""
    first = min(found, key=lambda m: (not m.decided, m.witness is None))
    return Phrase(actions, text, first.decided, first.witness)


# Actions with the same givers, resource and conditions share a sentence; so do then resources with the same actions.
_OnResource: TypeAlias = tuple[Names, str, tuple[Condition, ...]]
_WithActions: TypeAlias = tuple[Names, Names, tuple[Condition, ...]]


def _phrase_iam(items: list[tuple[IamItem, Missing]], role: Role) -> Iterator[Phrase]:
    by_resource: dict[_OnResource, list[tuple[IamItem, Missing]]] = {}
    for item, found in items:
        by_resource.setdefault((role.items[item], item.resource, item.conditions), []).append((item, found))
    by_actions: dict[_WithActions, list[tuple[IamItem, Missing]]] = {}
    for (givers, _, conditions), group in by_resource.items():
        actions = tuple(item.action for item, _ in group)
        by_actions.setdefault((givers, actions, conditions), []).extend(group)
    for (givers, actions, conditions), group in by_actions.items():
        resources = tuple(dict.fromkeys(item.resource for item, _ in group))
        yield _phrase(givers, say_grant(IamGrant(actions, resources, conditions)), (found for _, found in group))


@dataclass(slots=True)
class _Table:
    """What is said of one privilege on one table."""

    columns: list[str] = field(default_factory=list)
    rows: list[tuple[RowPredicate, ...]] = field(default_factory=list)
    found: list[Missing] = field(default_factory=list)
    givers: dict[str, None] = field(default_factory=dict)

    def add(self, item: ColumnItem | RowsItem, found: Missing | None = None) -> None:
        """Take one item into the sentence."""
        if isinstance(item, RowsItem):
            self.rows.append(item.rows)
        elif item.column:
            self.columns.append(item.column)
        if found is not None:
            self.found.append(found)


def _phrase_tables(parts: dict[Relation, _Table], role: Role) -> Iterator[Phrase]:
    """Say new columns with all rows that they come with, and new rows with all columns: both count together."""
    whole: dict[Relation, _Table] = {}
    for item in role.items:
        if isinstance(item, (ColumnItem, RowsItem)):
            whole.setdefault(item.relation, _Table()).add(item)
    merged: dict[tuple[object, ...], tuple[Relation, _Table, list[str]]] = {}
    for relation, part in parts.items():
        columns = tuple(part.columns or whole[relation].columns)
        givers = tuple(dict.fromkeys(giver for found in part.found for giver in role.items[found.item]))
        for rows in part.rows or whole[relation].rows:
            said = _Table(list(columns), [rows], [], dict.fromkeys(givers))
            key = (relation.database, relation.schema, relation.table, columns, repr(rows), givers)
            _, together, privileges = merged.setdefault(key, (relation, said, []))
            privileges.append(relation.privilege)
            together.found += part.found
    for relation, said, privileges in merged.values():
        grant = TableGrant(relation.schema, relation.table, tuple(privileges), tuple(said.columns), said.rows[0])
        yield _phrase(tuple(said.givers), say_grant(grant, relation.database), said.found)
