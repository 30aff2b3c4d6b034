"""Deciding privileges from a catalogue: memberships, columns, schemas, rows, and comparisons of catalogues."""

from __future__ import annotations

from dataclasses import replace

import pytest

from narrowgate.access import postgres
from narrowgate.access.postgres import (
    PUBLIC,
    Catalog,
    Function,
    Grant,
    Membership,
    Reason,
    Role,
    RowPolicy,
    Schema,
    Table,
)

ORDERS = Table("shop", "orders", "owner", ("id", "tenant", "card"))
USAGE = Grant("shop", "", "", PUBLIC, "USAGE")
BASE = Catalog(
    roles=(Role("agent"), Role("group"), Role("other"), Role("owner"), Role("boss", superuser=True)),
    memberships=(Membership("group", "agent"),),
    schemas=(Schema("shop", "owner"),),
    tables=(ORDERS,),
    grants=(USAGE, Grant("shop", "orders", "id", "group", "SELECT")),
)
SECURED = replace(BASE, tables=(replace(ORDERS, row_security=True),))
MINE = RowPolicy("shop", "orders", "mine", ("group",), "SELECT", using="(tenant = 'emea')")


def select(catalog: Catalog, role: str, column: str | None = "id", *, set_role: bool = True) -> postgres.Decision:
    return postgres.evaluate(catalog, role, "SELECT", "shop.orders", column, set_role=set_role)


def test_column_grant_flows_over_an_inheriting_membership() -> None:
    decision = select(BASE, "agent")
    assert decision.allowed
    assert decision.grant == BASE.grants[1]
    assert not select(BASE, "agent", "card").allowed
    assert not select(BASE, "agent", None).allowed
    assert select(BASE, "other").reason is Reason.NOT_GRANTED


@pytest.mark.parametrize(
    ("inherit", "settable", "held", "through_set"),
    [(True, True, True, True), (True, False, True, True), (False, True, False, True), (False, False, False, False)],
)
def test_membership_options(*, inherit: bool, settable: bool, held: bool, through_set: bool) -> None:
    catalog = replace(BASE, memberships=(Membership("group", "agent", inherit=inherit, set=settable),))
    assert select(catalog, "agent", set_role=False).allowed is held
    assert select(catalog, "agent").allowed is through_set


def test_attributes_are_not_inherited_but_reached_by_set_role() -> None:
    catalog = replace(BASE, memberships=(Membership("boss", "agent"),))
    assert not select(catalog, "agent", "card", set_role=False).allowed
    decision = select(catalog, "agent", "card")
    assert (decision.allowed, decision.reason, decision.acting_as) == (True, Reason.SUPERUSER, "boss")


def test_schema_must_be_usable() -> None:
    catalog = replace(BASE, grants=BASE.grants[1:])
    assert select(catalog, "agent").reason is Reason.SCHEMA_NOT_USABLE
    assert postgres.evaluate(catalog, "agent", "SELECT", "shop.orders", "id", schema_usage=False).allowed


def test_predefined_roles_reach_everything() -> None:
    catalog = replace(
        BASE,
        roles=(*BASE.roles, Role("pg_read_all_data")),
        memberships=(Membership("pg_read_all_data", "other"),),
        grants=(),
    )
    assert select(catalog, "other", None).reason is Reason.PREDEFINED_ROLE
    assert not postgres.evaluate(catalog, "other", "DELETE", "shop.orders").allowed


def test_row_security() -> None:
    assert select(SECURED, "agent").reason is Reason.NO_ROWS
    limited = replace(SECURED, policies=(MINE,))
    assert select(limited, "agent").rows.permissive == (MINE,)
    narrowing = replace(MINE, name="narrow", roles=(PUBLIC,), permissive=False)
    rows = select(replace(SECURED, policies=(MINE, narrowing)), "agent").rows
    assert (rows.permissive, rows.restrictive) == ((MINE,), (narrowing,))
    assert select(replace(SECURED, policies=(narrowing,)), "agent").reason is Reason.NO_ROWS
    assert select(replace(SECURED, policies=(replace(MINE, command="UPDATE"),)), "agent").reason is Reason.NO_ROWS


def test_truncate_passes_row_security() -> None:
    catalog = replace(SECURED, grants=(USAGE, Grant("shop", "orders", "", "group", "TRUNCATE")))
    assert postgres.evaluate(catalog, "agent", "TRUNCATE", "shop.orders").allowed


@pytest.mark.parametrize("forced", [True, False])
def test_owner_and_row_security(*, forced: bool) -> None:
    table = replace(ORDERS, row_security=True, force_row_security=forced)
    grants = (USAGE, Grant("shop", "orders", "", "owner", "SELECT"))
    decision = select(replace(BASE, tables=(table,), grants=grants), "owner")
    assert decision.allowed is not forced


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({}, True),
        ({"grants": (USAGE,)}, True),
        ({"grants": (*BASE.grants, Grant("shop", "orders", "card", PUBLIC, "SELECT"))}, False),
        (
            {"memberships": (*BASE.memberships, Membership("owner", "agent", inherit=False, set=False, admin=True))},
            False,
        ),
        ({"roles": (Role("agent", bypass_rls=True), *BASE.roles[1:])}, False),
        ({"policies": (MINE, replace(MINE, name="more", using="true"))}, None),
        ({"policies": (replace(MINE, name="renamed"),)}, True),
        ({"policies": (MINE, replace(MINE, name="less", using="false", permissive=False))}, True),
        ({"functions": (Function("shop", "f", "", "owner", security_definer=True, executors=(PUBLIC,)),)}, False),
        ({"tables": (replace(SECURED.tables[0], row_security=False),)}, None),
        ({"tables": (*SECURED.tables, Table("shop", "own", "agent", ("a",)))}, False),
    ],
)
def test_compare(change: dict[str, object], answer: bool | None) -> None:  # noqa: FBT001 - a column of the table
    old = replace(SECURED, policies=(MINE,))
    comparison = postgres.compare(old, replace(old, **change), "agent")  # type: ignore[arg-type]
    assert comparison.no_new_access is answer, comparison.reason
    assert (comparison.witness is not None) == (answer is False)


def test_compare_sees_each_column_and_role_by_itself() -> None:
    """The rows that another role may see of another column do not excuse new rows of this one."""
    both = (Membership("group", "agent", inherit=False), Membership("other", "agent", inherit=False))
    everything = replace(MINE, name="all", roles=("other",), using="true")
    id_of_group = (
        USAGE,
        Grant("shop", "orders", "id", "group", "SELECT"),
        Grant("shop", "orders", "card", "other", "SELECT"),
    )
    old = replace(SECURED, memberships=both, policies=(MINE, everything), grants=id_of_group)
    new = replace(old, grants=(*old.grants, Grant("shop", "orders", "id", "other", "SELECT")))
    assert postgres.compare(old, new, "agent").no_new_access is None


def test_changed_view_or_definer_function_is_not_decided() -> None:
    view = Table("shop", "v", "owner", ("a",), kind="v", definition="SELECT 1 AS a")
    function = Function("shop", "f", "", "owner", security_definer=True, executors=(PUBLIC,), definition="body")
    old = replace(
        BASE, tables=(view,), functions=(function,), grants=(USAGE, Grant("shop", "v", "", "group", "SELECT"))
    )
    assert postgres.compare(old, old, "agent").no_new_access is True
    other_view = replace(old, tables=(replace(view, definition="SELECT card AS a FROM orders"),))
    assert postgres.compare(old, other_view, "agent").no_new_access is None
    other_body = replace(old, functions=(replace(function, definition="other"),))
    assert postgres.compare(old, other_body, "agent").no_new_access is None


def test_a_role_that_was_not_there_could_do_nothing() -> None:
    old = replace(BASE, roles=BASE.roles[1:], memberships=())
    assert postgres.compare(old, BASE, "agent").no_new_access is False
    with pytest.raises(postgres.UnknownRoleError):
        postgres.compare(BASE, old, "agent")


def test_questions_about_what_is_not_there() -> None:
    with pytest.raises(postgres.UnknownRoleError):
        select(BASE, "nobody")
    for arguments in (("SELECT", "shop.none"), ("SELECT", "orders"), ("READ", "shop.orders")):
        with pytest.raises(postgres.UnknownTableError):
            postgres.evaluate(BASE, "agent", *arguments)
    for privilege, column in (("SELECT", "none"), ("DELETE", "id")):
        with pytest.raises(postgres.UnknownTableError):
            postgres.evaluate(BASE, "agent", privilege, "shop.orders", column)


def test_rows_must_be_of_every_query() -> None:
    rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in postgres.QUERIES}
    assert postgres.read_catalog(rows) == Catalog()
    with pytest.raises(postgres.CatalogError, match="not 5 columns"):
        postgres.read_catalog({**rows, "roles": [("a",)]})
    del rows["grants"]
    with pytest.raises(postgres.CatalogError, match="missing"):
        postgres.read_catalog(rows)


def test_widening_of_declared_functions() -> None:
    function = Function(
        "shop", "refund", "amount numeric, note text", "owner", security_definer=True, executors=("group",)
    )
    catalog = replace(BASE, functions=(function,), grants=(USAGE,))
    declared = [{"schema": "shop", "function": "refund", "arguments": ["numeric", "text"]}]
    assert postgres.find_widening(catalog, "group", [], declared) == []
    (found,) = postgres.find_widening(catalog, "group", [])
    assert str(found) == "shop.refund(amount numeric, note text): group may execute it as owner"
