"""Names fit each system's limits, keep meaning, and never collide."""

from __future__ import annotations

import itertools
import re

from narrowgate.compile import names

PARTS = ["a", "b", "a-b", "b-c", "a-b-c", "c", "x" * 40, "x" * 40 + "-y", "long-name-" * 5 + "z"]
PAIRS = list(itertools.product(PARTS, PARTS))


def test_a_short_vault_role_is_readable() -> None:
    assert names.vault_role_name("incident-summarization", "logs") == "incident-summarization.logs"


def test_vault_roles_have_40_characters_at_most_that_vault_and_sts_accept() -> None:
    for workflow, tool in PAIRS:
        name = names.vault_role_name(workflow, tool)
        assert len(name) <= 40
        assert re.fullmatch(r"\w(([\w.-]+)?\w)?", name)
        assert "@" not in name


def test_iam_roles_have_64_characters_at_most_that_iam_accepts() -> None:
    for workflow, tool in PAIRS:
        name = names.iam_role_name("dev", workflow, tool)
        assert len(name) <= 64
        assert re.fullmatch(r"[\w+=,.@-]+", name)
        assert name.startswith("ng-dev-")


def test_group_roles_leave_room_for_a_policys_suffix() -> None:
    for workflow, tool in PAIRS:
        name = names.group_role_name("dev", workflow, tool)
        assert len(f"{name}_select") <= 63
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)


def test_no_two_tools_share_a_name() -> None:
    for function in (
        names.vault_role_name,
        lambda w, t: names.iam_role_name("dev", w, t).lower(),
        lambda w, t: names.group_role_name("dev", w, t),
        names.tool_policy_name,
    ):
        assert len({function(w, t) for w, t in PAIRS}) == len(PAIRS)


def test_a_dash_moved_between_workflow_and_tool_is_another_role() -> None:
    assert names.iam_role_name("dev", "a-b", "c") != names.iam_role_name("dev", "a", "b-c")
    assert names.group_role_name("dev", "a-b", "c") != names.group_role_name("dev", "a", "b-c")


def test_environments_never_share_a_name() -> None:
    assert names.iam_role_name("dev", "a", "b") != names.iam_role_name("prod", "a", "b")
    assert names.iam_role_path("dev") == "/narrowgate/dev/tool/"
    assert names.audience("narrowgate", "dev", "w") == "narrowgate:dev:w"


def test_a_connection_keeps_its_databases_name_unless_two_share_it() -> None:
    assert names.connection_name("operations", "a", 5432, ambiguous=False) == "operations"
    first = names.connection_name("operations", "a", 5432, ambiguous=True)
    second = names.connection_name("operations", "b", 5432, ambiguous=True)
    assert first != second
    assert first.startswith("operations-")


def test_a_connection_name_that_had_to_change_is_hashed() -> None:
    assert names.connection_name("Ops", "a", 1, ambiguous=False) != names.connection_name(
        "ops", "a", 1, ambiguous=False
    )
