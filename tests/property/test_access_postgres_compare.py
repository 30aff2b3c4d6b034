"""Comparisons of catalogues against every single privilege; and what must hold of any catalogue."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from narrowgate.access import postgres
from narrowgate.access.postgres import PUBLIC, Catalog, Grant, Membership, Role, RowPolicy, Schema, Table

ROLES = ("agent", "group", "other", "owner")
PRIVILEGES = ("SELECT", "UPDATE", "DELETE", "TRUNCATE")
MEMBERSHIPS = st.builds(
    Membership,
    role=st.sampled_from(ROLES[1:]),
    member=st.sampled_from(ROLES[:3]),
    inherit=st.booleans(),
    set=st.booleans(),
).filter(lambda membership: ROLES.index(membership.role) > ROLES.index(membership.member))
GRANTS = st.builds(
    Grant,
    schema=st.just("s"),
    table=st.sampled_from(["t", "u"]),
    column=st.sampled_from(["", "a", "b"]),
    grantee=st.sampled_from([*ROLES, PUBLIC]),
    privilege=st.sampled_from(PRIVILEGES),
).map(lambda grant: grant if grant.privilege in ("SELECT", "UPDATE") else replace(grant, column=""))
POLICIES = st.builds(
    RowPolicy,
    schema=st.just("s"),
    table=st.sampled_from(["t", "u"]),
    name=st.just("p"),
    roles=st.sampled_from([(name,) for name in (*ROLES, PUBLIC)]),
    command=st.sampled_from(["ALL", "SELECT", "DELETE"]),
    permissive=st.booleans(),
    using=st.sampled_from(["x", "y"]),
)


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    tables = tuple(
        Table("s", name, draw(st.sampled_from(ROLES)), ("a", "b"), row_security=draw(st.booleans())) for name in "tu"
    )
    return Catalog(
        roles=tuple(Role(name, bypass_rls=draw(st.integers(0, 9)) == 0) for name in ROLES),
        memberships=tuple(draw(st.lists(MEMBERSHIPS, max_size=4))),
        schemas=(Schema("s", "postgres"),),
        tables=tables,
        grants=(Grant("s", "", "", PUBLIC, "USAGE"), *draw(st.lists(GRANTS, max_size=5))),
        policies=tuple(draw(st.lists(POLICIES, max_size=3))),
    )


def conditions(catalog: Catalog, role: str, question: tuple[str, str, str | None]) -> set[str] | None:
    """Return the row conditions under which a role itself may use a privilege, `all` for no condition."""
    privilege, table, column = question
    decision = postgres.evaluate(catalog, role, privilege, f"s.{table}", column, set_role=False)
    if not decision.allowed:
        return None
    limits = "".join(sorted({policy.using for policy in decision.rows.restrictive}))
    return {"all"} if decision.rows.all else {f"{policy.using} but {limits}" for policy in decision.rows.permissive}


QUESTIONS = [
    (privilege, table, column)
    for privilege, table, column in itertools.product(PRIVILEGES, "tu", (None, "a", "b"))
    if column is None or privilege in ("SELECT", "UPDATE")
]


@given(catalogs(), catalogs(), st.booleans())
@settings(max_examples=300)
def test_no_new_access_is_none_for_each_privilege(old: Catalog, other: Catalog, alike: bool) -> None:  # noqa: FBT001 - drawn
    new = replace(old, grants=(*old.grants[:-1], *other.grants[1:2]), policies=other.policies) if alike else other
    comparison = postgres.compare(old, new, "agent")
    gained = [
        question
        for question in QUESTIONS
        if postgres.evaluate(new, "agent", question[0], f"s.{question[1]}", question[2]).allowed
        and not postgres.evaluate(old, "agent", question[0], f"s.{question[1]}", question[2]).allowed
    ]
    if comparison.no_new_access is not False:
        assert not gained
    if comparison.no_new_access:
        assert not [question for question in QUESTIONS if has_new_rows(old, new, question)]
    if comparison.witness is not None and comparison.witness.privilege in PRIVILEGES:
        witness = comparison.witness
        assert postgres.evaluate(new, "agent", witness.privilege, witness.object, witness.column or None).allowed


def has_new_rows(old: Catalog, new: Catalog, question: tuple[str, str, str | None]) -> bool:
    """Tell whether no role that the agent could be before saw all that one it can be now sees."""
    actors = [{"agent", *(name for name in ROLES if can_become(catalog, "agent", name))} for catalog in (old, new)]
    before = [found for role in actors[0] if (found := conditions(old, role, question))]
    after = [found for role in actors[1] if (found := conditions(new, role, question))]
    return any("all" in found for found in after) and not any("all" in found for found in before)


def can_become(catalog: Catalog, role: str, other: str) -> bool:
    """Tell whether there is a way of memberships WITH SET, tried one by one."""
    return any(
        membership.member == role
        and membership.set
        and (membership.role == other or can_become(catalog, membership.role, other))
        for membership in catalog.memberships
    )


@given(catalogs())
@settings(max_examples=100)
def test_nothing_is_new_to_itself(catalog: Catalog) -> None:
    for role in ROLES:
        assert postgres.compare(catalog, catalog, role).no_new_access is True


@given(catalogs(), GRANTS)
@settings(max_examples=100)
def test_a_grant_never_takes_away(catalog: Catalog, grant: Grant) -> None:
    more = replace(catalog, grants=(*catalog.grants, grant))
    for role in ROLES:
        assert postgres.compare(more, catalog, role).no_new_access is not False
