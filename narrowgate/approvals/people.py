"""Who is behind a Vault entity, and whether the people who approved are enough, distinct, and not the requester.

Vault counts entities and would let one person in two groups satisfy two factors; here each person fills one approval.
People are compared by the name that their login's mount gives (the token's `sub`); agents' and approvers' mounts trust
the same issuer.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from narrowgate.approvals.case import Person
from narrowgate.approvals.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from narrowgate.approvals.settings import FactorRule
    from narrowgate.approvals.vault import Vault


def read_person(vault: Vault, entity: str, mount: str, *, group_prefix: str = "", groups: bool = True) -> Person | None:
    """Return who `entity` is by its login at the auth mount `mount`, or None where it has no single name there.

    `groups` are the names of the groups of identity providers that it is in, without `group_prefix`; others are left
    out. Raises as `Vault.ask` does.
    """
    try:
        data = vault.ask("get", f"identity/entity/id/{entity}", repeat=True)["data"]
    except NotFoundError:
        return None
    names = {a["name"] for a in data.get("aliases") or () if str(a.get("mount_path", "")).strip("/") == f"auth/{mount}"}
    if len(names) != 1 or data.get("disabled"):
        return None
    found = []
    for group in data.get("direct_group_ids") or data.get("group_ids") or () if groups else ():
        known = vault.ask("get", f"identity/group/id/{group}", repeat=True)["data"]
        name = str(known["name"])
        if name.startswith(group_prefix):
            found.append(name.removeprefix(group_prefix))
    return Person(entity, names.pop(), tuple(sorted(found)))


def is_same_person(one: str, other: str) -> bool:
    """Return whether two names may be one person's: equal, or equal but for case and forms of letters."""
    return _fold(one) == _fold(other)


def may_approve(person: Person, factors: Iterable[FactorRule]) -> bool:
    """Return whether a person is in a group of any factor."""
    return any(set(person.groups) & set(factor.groups) for factor in factors)


def choose_approvers(people: Sequence[Person], factors: Sequence[FactorRule]) -> tuple[Person, ...] | None:
    """Return people who together fill every place of every factor, each person one place; None where they cannot.

    `people` are those who approved, without the requester; two entities of one name are one person.
    """
    distinct: dict[str, Person] = {}
    for person in people:
        distinct.setdefault(_fold(person.name), person)
    places = [factor for factor in factors for _ in range(factor.required)]
    filled: dict[str, int] = {}  # person -> place
    if not places:
        return None  # no approval is none that could be given
    for place in range(len(places)):
        if not _fill(place, places, distinct, filled, set()):
            return None
    return tuple(distinct[name] for name in sorted(filled))


def count_missing(people: Sequence[Person], factors: Sequence[FactorRule]) -> int:
    """Return how many places are still open, at best."""
    distinct = {_fold(person.name): person for person in people}
    places = [factor for factor in factors for _ in range(factor.required)]
    filled: dict[str, int] = {}
    return sum(not _fill(place, places, distinct, filled, set()) for place in range(len(places)))


def _fill(
    place: int, places: Sequence[FactorRule], people: dict[str, Person], filled: dict[str, int], tried: set[str]
) -> bool:
    """Find a person for `place`, moving others where that helps (augmenting paths of a bipartite matching)."""
    for name, person in people.items():
        if name in tried or not set(person.groups) & set(places[place].groups):
            continue
        tried.add(name)
        if name not in filled or _fill(filled[name], places, people, filled, tried):
            filled[name] = place
            return True
    return False


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
