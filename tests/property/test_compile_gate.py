"""What a gated path's policy says, whatever the rule: nothing passes without every factor's approvals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrowgate.access import vault
from narrowgate.access.vault.policy import ALL_CAPABILITIES
from narrowgate.compile.errors import CompileError
from narrowgate.compile.hcl import ControlGroup, PathRule, render_policy

PATH = "narrowgate-database-gated/creds/w.t.a"
GROUPS = st.lists(
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12), min_size=1, max_size=3
)
FACTORS = st.lists(st.tuples(GROUPS.map(tuple), st.integers(1, 10)), min_size=1, max_size=4).map(tuple)
CAPABILITIES = st.sets(st.sampled_from(["read", "update", "create", "list"]), min_size=1)


def render(group: ControlGroup, capabilities: set[str]) -> str:
    return render_policy("a request", [PathRule(PATH, sorted(capabilities), "credentials", control_group=group)])


@given(factors=FACTORS, capabilities=CAPABILITIES, seconds=st.integers(1, 10**6))
def test_every_capability_waits_for_every_factor(
    factors: tuple[tuple[tuple[str, ...], int], ...], capabilities: set[str], seconds: int
) -> None:
    try:
        text = render(ControlGroup(factors, seconds), capabilities)
    except CompileError:
        assert any("${" in name or "%{" in name for names, _ in factors for name in names)
        return
    policy = vault.parse(text)
    (rule,) = policy.rules
    group = rule.permissions.control_group
    assert group is not None
    assert [(factor.group_names, factor.approvals) for factor in group.factors] == list(factors)
    assert all(factor.capabilities == rule.permissions.capabilities == capabilities for factor in group.factors)
    assert not group.self_authorization
    assert vault.find_request([policy], PATH, ALL_CAPABILITIES).found is False


@pytest.mark.parametrize("factors", [(), (((), 1),), ((("a",), 0),)])
def test_a_group_that_holds_nothing_back_is_refused(factors: tuple[tuple[tuple[str, ...], int], ...]) -> None:
    with pytest.raises(CompileError, match="holds nothing back"):
        render(ControlGroup(factors, 60), {"read"})
