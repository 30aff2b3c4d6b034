"""Comparing plans never says wrongly that nothing is gained, and agrees with trying every request in a small world."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations, product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrowgate.access.diff import Kind, compare_plans
from narrowgate.access.diff.approvals import is_as_strict
from narrowgate.access.lock import read_lock, write_lock
from narrowgate.access.patterns import overlap
from narrowgate.plan import (
    Access,
    AccessPlan,
    ActionAccess,
    Approval,
    AwsBinding,
    Backend,
    CertificateGrant,
    ClaimGrant,
    Condition,
    Environment,
    Factor,
    FunctionGrant,
    Grant,
    IamGrant,
    IdentityBinding,
    Impact,
    RowPredicate,
    SecretGrant,
    TableGrant,
    ToolAccess,
    ToolBinding,
    VaultBinding,
    WorkflowAccess,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENVIRONMENT = Environment(
    name="dev",
    aws=AwsBinding("111111111111", "eu-central-1", broker_arn="arn:aws:iam::111111111111:user/broker"),
    vault=VaultBinding("https://vault.example.com"),
    identity=IdentityBinding("https://idp.example.com"),
    tools=(ToolBinding("crm", (("database", "operations"),)),),
)

# A world small enough to try every request in it, with patterns and predicates that overlap often.
BUCKETS = ["arn:aws:s3:::b/*", "arn:aws:s3:::b/x/*", "arn:aws:s3:::b/x/y", "arn:aws:s3:::c/*"]
ACTIONS = ["s3:GetObject", "s3:PutObject"]
COLUMNS = ["id", "mail", "status"]
PRIVILEGES = ["SELECT", "UPDATE"]
ROWS: dict[str, list[str | int | bool]] = {"tenant": ["emea", "apac"], "level": [1, 2, True]}
GROUPS = ["managers", "on-call"]


def subsets(items: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(items), min_size=1, unique=True).map(sorted).map(tuple)


PREDICATES = st.sampled_from(sorted(ROWS)).flatmap(
    lambda column: st.lists(st.sampled_from(ROWS[column]), min_size=1, max_size=2, unique_by=repr).map(
        lambda values: RowPredicate(column, tuple(values))
    )
)
TABLE_GRANTS = st.builds(
    TableGrant,
    st.just("public"),
    st.sampled_from(["tickets", "people"]),
    subsets(PRIVILEGES),
    subsets(COLUMNS),
    st.lists(PREDICATES, max_size=2, unique_by=lambda row: row.column).map(tuple),
)
IAM_GRANTS = st.builds(
    IamGrant,
    subsets(ACTIONS),
    subsets(BUCKETS),
    st.sampled_from([(), (Condition("StringEquals", "aws:RequestTag/team", ("red",)),)]),
)
OTHER_GRANTS = st.one_of(
    st.builds(FunctionGrant, st.just("public"), st.sampled_from(["close", "open"]), st.just(("bigint",))),
    st.builds(SecretGrant, st.sampled_from(["kv/a", "kv/b"]), st.sampled_from([3600, 86400])),
    st.builds(CertificateGrant, st.sampled_from(["spiffe://a", "spiffe://b"])),
    st.builds(ClaimGrant, st.sampled_from(["crm", "erp"]), st.sampled_from(["{}", '{"team":"red"}'])),
)
GRANTS = st.one_of(IAM_GRANTS, TABLE_GRANTS, OTHER_GRANTS)
FACTORS = st.builds(Factor, subsets(GROUPS), st.integers(1, 2))
APPROVALS = st.builds(Approval, st.lists(FACTORS, min_size=1, max_size=2).map(tuple), st.sampled_from([600, 1800]))


@st.composite
def actions(draw: st.DrawFn, grants: st.SearchStrategy[Grant] = GRANTS) -> tuple[ActionAccess, ...]:
    made = []
    for name in draw(subsets(["close", "list", "read"])):
        gated = draw(st.booleans())
        made.append(
            ActionAccess(
                name,
                draw(st.sampled_from(Access)),
                Impact.LOW,
                gated,
                tuple(draw(st.lists(grants, min_size=1, max_size=2))),
                draw(APPROVALS) if gated else None,
            )
        )
    return tuple(made)


def workflow_of(
    name: str, tool_actions: tuple[ActionAccess, ...], requesters: tuple[str, ...] = ("on-call",)
) -> WorkflowAccess:
    tool = ToolAccess(name, "crm", Backend.POSTGRES, "{}", tool_actions, 900, 3600)
    return WorkflowAccess(name, "owners", "does things", "jwt", requesters, 900, 3600, (tool,))


@st.composite
def plans(draw: st.DrawFn) -> AccessPlan:
    names = draw(st.lists(st.sampled_from(["alpha", "beta"]), unique=True).map(sorted))
    made = tuple(workflow_of(name, draw(actions()), draw(subsets(GROUPS))) for name in names)
    return AccessPlan(ENVIRONMENT, made)


@settings(max_examples=60, deadline=None)
@given(plans())
def test_a_plan_gains_nothing_over_itself(plan: AccessPlan) -> None:
    comparison = compare_plans(plan, replace(plan, workflows=tuple(reversed(plan.workflows))))
    assert comparison.no_new_access is True
    assert comparison.changes == ()


@settings(max_examples=60, deadline=None)
@given(plans())
def test_a_plan_gains_nothing_over_its_own_lock(plan: AccessPlan) -> None:
    assert compare_plans(read_lock(write_lock(plan)), plan).changes == ()


def smaller_plans(plan: AccessPlan) -> Iterator[AccessPlan]:
    """Yield `plan` without one workflow, tool, action, grant or requester."""
    for n, workflow in enumerate(plan.workflows):
        others = plan.workflows[:n] + plan.workflows[n + 1 :]
        yield replace(plan, workflows=others)
        for requester in workflow.requesters:
            kept = tuple(r for r in workflow.requesters if r != requester)
            if kept:
                yield replace(plan, workflows=(*others, replace(workflow, requesters=kept)))
        for t, tool in enumerate(workflow.tools):
            rest = workflow.tools[:t] + workflow.tools[t + 1 :]
            yield replace(plan, workflows=(*others, replace(workflow, tools=rest)))
            for a, action in enumerate(tool.actions):
                around = tool.actions[:a] + tool.actions[a + 1 :]
                cuts = [around]
                for g in range(len(action.grants)):
                    less = replace(action, grants=action.grants[:g] + action.grants[g + 1 :])
                    cuts.append((*around, less))
                for cut in cuts:
                    smaller = replace(workflow, tools=(*rest, replace(tool, actions=cut)))
                    yield replace(plan, workflows=(*others, smaller))


@settings(max_examples=25, deadline=None)
@given(plans())
def test_removing_anything_never_gains(plan: AccessPlan) -> None:
    for smaller in smaller_plans(plan):
        assert compare_plans(plan, smaller).no_new_access is True


FRESH = [
    IamGrant(("s3:GetObject",), ("arn:aws:s3:::fresh/*",)),
    IamGrant(("s3:DeleteObject",), ("arn:aws:s3:::b/x/y",)),
    TableGrant("public", "fresh", ("SELECT",), ("id",)),
    TableGrant("public", "tickets", ("DELETE",), ()),
    TableGrant("public", "tickets", ("SELECT",), ("salary",), (RowPredicate("tenant", ("emea",)),)),
    FunctionGrant("public", "fresh", ()),
    ClaimGrant("fresh", "{}"),
    SecretGrant("kv/fresh", 60),
    CertificateGrant("spiffe://fresh"),
]


@settings(max_examples=60, deadline=None)
@given(plans(), st.sampled_from(FRESH), st.data())
def test_adding_any_grant_always_gains(plan: AccessPlan, fresh: Grant, data: st.DataObject) -> None:
    if not plan.workflows:
        return
    w = data.draw(st.integers(0, len(plan.workflows) - 1))
    workflow = plan.workflows[w]
    tool = workflow.tools[0]
    a = data.draw(st.integers(0, len(tool.actions) - 1))
    changed = replace(tool.actions[a], grants=(*tool.actions[a].grants, fresh))
    tool = replace(tool, actions=(*tool.actions[:a], changed, *tool.actions[a + 1 :]))
    workflows = (*plan.workflows[:w], replace(workflow, tools=(tool,)), *plan.workflows[w + 1 :])
    comparison = compare_plans(plan, replace(plan, workflows=workflows))
    assert comparison.no_new_access is False
    assert {change.workflow for change in comparison.gains} == {workflow.name}


# Against trying every request -----------------------------------------------------------------------------------------

Cell = tuple[str, str, str, tuple[object, ...]]


def reachable_cells(grants: Iterable[Grant]) -> set[Cell]:
    """Return every (privilege, table, column, row) that one database role with `grants` reaches, by trying each.

    As PostgreSQL has it: a column privilege of the role goes with every row that any policy of the role shows.
    """
    tables = [grant for grant in grants if isinstance(grant, TableGrant)]
    rows = list(
        product(
            [("str", "emea"), ("str", "apac"), ("str", "other")], [("int", 1), ("int", 2), ("bool", True), ("int", 9)]
        )
    )
    cells: set[Cell] = set()
    for privilege, table, column, row in product(PRIVILEGES, ["tickets", "people"], COLUMNS, rows):
        mine = [g for g in tables if g.table == table and privilege in g.privileges]
        values = dict(zip(["tenant", "level"], row, strict=True))
        shown = any(all(values[p.column] in [(type(v).__name__, v) for v in p.values] for p in g.rows) for g in mine)
        if shown and any(column in g.columns for g in mine):
            cells.add((privilege, table, column, row))
    return cells


def ungated(grants: list[Grant]) -> AccessPlan:
    action = ActionAccess("read", Access.READ, Impact.LOW, gated=False, grants=tuple(grants))
    return AccessPlan(ENVIRONMENT, (workflow_of("alpha", (action,)),))


@settings(max_examples=300, deadline=None)
@given(st.lists(TABLE_GRANTS, min_size=1, max_size=3), st.lists(TABLE_GRANTS, min_size=1, max_size=3))
def test_tables_compare_as_trying_every_cell_does(old: list[Grant], new: list[Grant]) -> None:
    comparison = compare_plans(ungated(old), ungated(new))
    assert comparison.no_new_access is (reachable_cells(new) <= reachable_cells(old))
    assert bool(comparison.losses) is not (reachable_cells(old) <= reachable_cells(new))


KEYS = ["arn:aws:s3:::b/x/y", "arn:aws:s3:::b/x/z", "arn:aws:s3:::b/w", "arn:aws:s3:::c/x"]


def allowed_requests(grants: Iterable[Grant]) -> set[tuple[str, str, bool]]:
    """Return every (action, object, tagged) that `grants` allow, by trying each: only trailing stars are in play."""
    found = set()
    for action, key, tagged in product(ACTIONS, KEYS, [False, True]):
        for grant in grants:
            if not isinstance(grant, IamGrant) or action not in grant.actions or (grant.conditions and not tagged):
                continue
            if any(key == arn or (arn.endswith("*") and key.startswith(arn[:-1])) for arn in grant.resources):
                found.add((action, key, tagged))
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(IAM_GRANTS, min_size=1, max_size=3), st.lists(IAM_GRANTS, min_size=1, max_size=3))
def test_iam_compares_as_trying_every_request_does(old: list[Grant], new: list[Grant]) -> None:
    comparison = compare_plans(ungated(old), ungated(new))
    assert comparison.no_new_access is (allowed_requests(new) <= allowed_requests(old))


def satisfies(people: tuple[tuple[str, ...], ...], approval: Approval) -> bool:
    """Say whether the people, each given by their groups, satisfy every factor."""
    return all(
        sum(any(group in factor.groups for group in groups) for groups in people) >= factor.required
        for factor in approval.factors
    )


MEMBERSHIPS = [(), ("managers",), ("on-call",), ("managers", "on-call")]
CROWDS = list(chain.from_iterable(product(MEMBERSHIPS, repeat=n) for n in range(5)))


@settings(max_examples=200, deadline=None)
@given(APPROVALS, APPROVALS)
def test_a_stricter_approval_lets_nobody_through_whom_the_other_would_stop(rule: Approval, other: Approval) -> None:
    if is_as_strict(rule, other):
        assert rule.expires_seconds <= other.expires_seconds
        assert not [crowd for crowd in CROWDS if satisfies(crowd, rule) and not satisfies(crowd, other)]


@settings(max_examples=100, deadline=None)
@given(APPROVALS)
def test_an_approval_is_as_strict_as_itself(approval: Approval) -> None:
    assert is_as_strict(approval, approval)


@settings(max_examples=100, deadline=None)
@given(actions())
def test_ungating_always_gains_and_gating_never_does(some: tuple[ActionAccess, ...]) -> None:
    gated = tuple(replace(a, gated=True, approval=Approval((Factor(("managers",), 1),), 600)) for a in some)
    open_ = tuple(replace(a, gated=False, approval=None) for a in some)
    closed_plan, open_plan = (AccessPlan(ENVIRONMENT, (workflow_of("alpha", x),)) for x in (gated, open_))
    freed = compare_plans(closed_plan, open_plan)
    assert freed.no_new_access is False
    assert {c.actions[0] for c in freed.gains if c.kind is Kind.GAIN} >= {a.name for a in some}
    assert compare_plans(open_plan, closed_plan).no_new_access is True


SHORT = ["".join(letters) for n in range(4) for letters in product("ab", repeat=n)]


def glob_matches(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob_matches(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and glob_matches(pattern[1:], text[1:])


@pytest.mark.parametrize("length", [1, 2, 3])
def test_patterns_overlap_exactly_where_a_text_matches_both(length: int) -> None:
    patterns = ["".join(p) for n in range(length + 1) for p in product("ab*?", repeat=n)]
    # Two patterns of at most three characters that overlap have a common text of at most six.
    texts = ["".join(letters) for n in range(2 * length + 1) for letters in product("ab", repeat=n)]
    matched = {pattern: {text for text in texts if glob_matches(pattern, text)} for pattern in patterns}
    for left, right in combinations(patterns, 2):
        assert overlap(left, right) is bool(matched[left] & matched[right]), (left, right)


@pytest.mark.parametrize("audience", ["crm", "erp"])
def test_another_action_of_a_token_is_new_access(audience: str) -> None:
    # A signed token names its actions: with the same audience and scope, one more is one more that the service grants.
    grant = ClaimGrant("crm", "{}")
    read = ActionAccess("read", Access.READ, Impact.LOW, gated=False, grants=(grant,))
    refund = ActionAccess("refund", Access.WRITE, Impact.LOW, gated=False, grants=(replace(grant, audience=audience),))
    old, new = (AccessPlan(ENVIRONMENT, (workflow_of("alpha", x),)) for x in ((read,), (read, refund)))
    comparison = compare_plans(old, new)
    assert comparison.no_new_access is False
    assert [change.actions for change in comparison.gains] == [("refund",)]
    assert compare_plans(new, old).no_new_access is True


def test_another_scope_of_a_token_is_not_decided() -> None:
    old, new = (ungated([ClaimGrant("crm", scope)]) for scope in ('{"team":"red"}', "{}"))
    assert compare_plans(old, new).no_new_access is None
    assert compare_plans(new, old).no_new_access is None


PLACES = ["namespace", "auth_prefix", "aws_mount", "database_mount", "kv_mount", "pki_mount", "signing_key"]


@pytest.mark.parametrize("field", PLACES)
def test_another_place_in_vault_is_not_proven_to_be_the_same_access(field: str) -> None:
    plan = ungated([IamGrant(("s3:GetObject",), ("arn:aws:s3:::b/*",))])
    moved = replace(ENVIRONMENT, vault=replace(ENVIRONMENT.vault, **{field: "elsewhere"}))
    assert compare_plans(plan, replace(plan, environment=moved)).no_new_access is None


def gated_by(approval: Approval, *names: str) -> AccessPlan:
    grants = (FunctionGrant("public", "close", ("bigint",)),)
    acts = tuple(
        ActionAccess(n, Access.WRITE, Impact.HIGH, gated=True, grants=grants, approval=approval) for n in names
    )
    return AccessPlan(ENVIRONMENT, (workflow_of("alpha", acts),))


@settings(max_examples=150, deadline=None)
@given(APPROVALS, APPROVALS)
def test_a_gate_that_lets_more_people_through_is_new_access(old: Approval, new: Approval) -> None:
    comparison = compare_plans(gated_by(old, "close"), gated_by(new, "close"))
    looser = new.expires_seconds > old.expires_seconds or any(
        satisfies(crowd, new) and not satisfies(crowd, old) for crowd in CROWDS
    )
    if looser:
        assert comparison.no_new_access is False
    # the same rule under another name is the same access
    assert compare_plans(gated_by(old, "close"), gated_by(old, "finish")).no_new_access is True


@pytest.mark.parametrize(("old", "new", "answer"), [(3600, 86400, False), (86400, 3600, True), (3600, 3600, True)])
def test_a_secret_that_may_get_older_is_new_access(old: int, new: int, *, answer: bool) -> None:
    plans_ = [ungated([SecretGrant("kv/a", age)]) for age in (old, new)]
    assert compare_plans(*plans_).no_new_access is answer


@pytest.mark.parametrize("field", ["ttl_seconds", "max_ttl_seconds"])
@pytest.mark.parametrize("of_tool", [True, False])
@pytest.mark.parametrize("gated", [True, False])
def test_longer_times_are_new_access(field: str, *, of_tool: bool, gated: bool) -> None:
    approval = Approval((Factor(("managers",), 1),), 600)
    plan = gated_by(approval, "close") if gated else ungated([FunctionGrant("public", "close", ())])
    (workflow,) = plan.workflows
    tool = replace(workflow.tools[0], **{field: 4000})
    longer = replace(workflow, tools=(tool,)) if of_tool else replace(workflow, **{field: 4000})
    changed = replace(plan, workflows=(longer,))
    assert compare_plans(plan, changed).no_new_access is False
    assert compare_plans(changed, plan).no_new_access is True
