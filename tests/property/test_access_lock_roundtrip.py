"""The lock says exactly the plan: what is written reads back as the same access, whatever the order it came in."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from narrowgate.access.lock import lock_of, read_lock, write_lock
from narrowgate.access.lock.text import write_block
from narrowgate.declarations.source import parse_source
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
    Execution,
    Factor,
    FunctionGrant,
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
    WorkflowBinding,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,3}){0,2}", fullmatch=True)
# All of Unicode but what no YAML file may hold: controls and halves of surrogate pairs.
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12)
SECONDS = st.integers(1, 10**6)
LITERALS = st.one_of(TEXTS, st.booleans(), st.integers(-(10**15), 10**15))


def tuples(
    items: st.SearchStrategy[Any], most: int = 3, unique_by: Callable[[Any], Any] | None = None
) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most, unique_by=unique_by).map(tuple)


JSON = st.recursive(
    st.one_of(TEXTS, st.booleans(), st.integers(-(10**6), 10**6), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)
SCOPES = st.dictionaries(NAMES, JSON, max_size=2).map(
    lambda value: json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
)
CONDITIONS = tuples(
    st.builds(Condition, st.sampled_from(["StringLike", "StringEquals"]), TEXTS.filter(bool), tuples(TEXTS)),
    unique_by=lambda condition: (condition.operator, condition.key),
)
ROWS = tuples(st.builds(RowPredicate, TEXTS, tuples(LITERALS)), unique_by=lambda row: row.column)
GRANTS = st.one_of(
    st.builds(IamGrant, tuples(TEXTS), tuples(TEXTS), CONDITIONS),
    st.builds(TableGrant, NAMES, TEXTS, tuples(st.sampled_from(["SELECT", "INSERT"])), tuples(TEXTS), ROWS),
    st.builds(FunctionGrant, NAMES, TEXTS, tuples(TEXTS)),
    st.builds(ClaimGrant, TEXTS, SCOPES),
    st.builds(SecretGrant, TEXTS, SECONDS),
    st.builds(CertificateGrant, TEXTS),
)
APPROVALS = st.builds(Approval, tuples(st.builds(Factor, tuples(TEXTS), st.integers(0, 9))), SECONDS)
ACTIONS = st.builds(
    ActionAccess,
    name=NAMES,
    access=st.sampled_from(Access),
    impact=st.sampled_from(Impact),
    gated=st.booleans(),
    grants=tuples(GRANTS),
    approval=st.none() | APPROVALS,
    execution=st.none() | st.builds(Execution, NAMES, SCOPES, SCOPES, TEXTS),
)
TOOLS = st.builds(
    ToolAccess,
    workflow=st.just(""),
    tool=NAMES,
    backend=st.sampled_from(Backend),
    scope=SCOPES,
    actions=tuples(ACTIONS, unique_by=lambda action: action.name).map(
        lambda actions: tuple(sorted(actions, key=lambda action: action.name))
    ),
    ttl_seconds=SECONDS,
    max_ttl_seconds=SECONDS,
)


def place(workflow: WorkflowAccess) -> WorkflowAccess:
    """Sort the tools of a workflow and let each name it, as a plan does."""
    tools = sorted(workflow.tools, key=lambda tool: tool.tool)
    return replace(workflow, tools=tuple(replace(tool, workflow=workflow.name) for tool in tools))


WORKFLOWS = st.builds(
    WorkflowAccess,
    name=NAMES,
    owner=TEXTS,
    purpose=TEXTS,
    identity=TEXTS,
    requesters=tuples(TEXTS),
    ttl_seconds=SECONDS,
    max_ttl_seconds=SECONDS,
    tools=tuples(TOOLS, 2, unique_by=lambda tool: tool.tool),
).map(place)
AGENTS = st.builds(
    WorkflowBinding,
    workflow=st.just(""),
    namespace=st.none() | TEXTS.filter(bool),
    service_account=st.none() | TEXTS.filter(bool),
    principal_arn=st.none() | TEXTS.filter(bool),
    cidrs=tuples(TEXTS),
)


def bind_agents(plan: AccessPlan) -> st.SearchStrategy[AccessPlan]:
    """Let some of the plan's workflows log in as their platform says."""
    agents = st.tuples(*(AGENTS.map(partial(replace, workflow=workflow.name)) for workflow in plan.workflows))
    return agents.map(lambda bound: replace(plan, environment=replace(plan.environment, workflows=bound)))


PLANS = st.builds(
    AccessPlan,
    environment=st.builds(
        Environment,
        name=NAMES,
        aws=st.builds(AwsBinding, account=TEXTS, region=st.just("eu-central-1"), broker_arn=TEXTS),
        vault=st.just(VaultBinding("https://vault.example.com")),
        identity=st.builds(IdentityBinding, issuer=TEXTS, user_claim=TEXTS, groups_claim=TEXTS),
        tools=tuples(
            st.builds(ToolBinding, NAMES, st.tuples(st.tuples(st.just("database"), TEXTS))), unique_by=lambda b: b.tool
        ),
    ),
    workflows=tuples(WORKFLOWS, 3, unique_by=lambda workflow: workflow.name),
).flatmap(bind_agents)


@settings(max_examples=150, deadline=None)
@given(PLANS)
def test_what_is_written_reads_back_as_the_same_access(plan: AccessPlan) -> None:
    # repr tells 1 from true, which == does not
    assert repr(read_lock(write_lock(plan))) == repr(lock_of(plan))


@settings(max_examples=60, deadline=None)
@given(PLANS, st.randoms())
def test_the_order_of_workflows_never_shows(plan: AccessPlan, random: Random) -> None:
    workflows = list(plan.workflows)
    random.shuffle(workflows)
    assert write_lock(replace(plan, workflows=tuple(workflows))) == write_lock(plan)


@settings(max_examples=60, deadline=None)
@given(PLANS)
def test_a_reread_lock_writes_the_same_bytes(plan: AccessPlan) -> None:
    text = write_lock(plan)
    assert write_lock(read_lock(text)).encode() == text.encode()


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(TEXTS, st.recursive(st.one_of(LITERALS, st.none()), lambda v: st.lists(v, max_size=3)), max_size=4)
)
def test_yaml_text_means_the_value_it_was_written_from(value: dict[str, Any]) -> None:
    read = parse_source(write_block(value) or "{}", Path("x.yaml")).value
    assert repr(read) == repr(value)
