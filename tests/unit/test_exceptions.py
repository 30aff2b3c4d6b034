"""Exceptions from rules: declared with a place for each mistake, stated by the lock, shown by the diff, and narrow."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from narrowgate.access.diff import compare_plans
from narrowgate.access.enforcement import NotWithinLockError, enforce_lock
from narrowgate.access.exceptions import ANYWHERE, NEVER, in_force, is_excepted, is_production, refuse_exception
from narrowgate.access.lock import LockError, lock_of, read_lock, write_lock
from narrowgate.declarations import DeclarationErrors, load_environment, load_plan
from narrowgate.declarations.checking import check_stacks
from narrowgate.declarations.exceptions import read_exceptions
from narrowgate.plan import RuleException
from narrowgate.rules import RULES, Settings, judge, settings_of
from narrowgate.rules.facts import IamIdentity, IamPolicy

if TYPE_CHECKING:
    from pathlib import Path

DAY = dt.date(2026, 6, 1)
ROLE = "aws:iam/role:Role::reports"
URN = f"urn:pulumi:dev::narrowgate::{ROLE}"
RIGHT = f"""\
version: 1
exceptions:
  - rule: iam-boundary-required
    environment: dev
    resource: {ROLE}
    reason: It is older than the boundary.
    owner: sre-platform
    expires: 2026-12-31
"""

# what is replaced, by what, then line, column and code
MISTAKES = {
    "unknown key": ("    owner:", "    level: off\n    owner:", 7, 5, "unknown-key"),
    "missing reason": ("    reason: It is older than the boundary.\n", "", 3, 5, "missing-key"),
    "a rule without exceptions": ("iam-boundary-required", "access-within-lock", 3, 11, "exception-refused"),
    "admin in production": ("environment: dev", "environment: prod", 3, 11, "exception-refused"),
    "a component of ours": (ROLE, f"narrowgate:index:AgentWorkflow${ROLE}", 3, 11, "exception-refused"),
    "a wildcard": (ROLE, '"aws:iam/role:Role::*"', 5, 15, "bad-format"),
    "a name without its type": (ROLE, "reports", 5, 15, "bad-format"),
    "expired": ("2026-12-31", "2026-05-31", 8, 14, "exception-expired"),
    "too far": ("2026-12-31", "2027-12-31", 8, 14, "bad-value"),
    "no date": ("2026-12-31", "2026-02-31", 8, 14, "bad-value"),
    "never": ("2026-12-31", "never", 8, 14, "bad-format"),
    "newer": ("version: 1", "version: 2", 1, 10, "bad-value"),
    "anchor": ("rule: iam", "rule: &a iam", 3, 11, "yaml-syntax"),
}


def write(stacks: Path, text: str = RIGHT) -> None:
    (stacks / "exceptions.yaml").write_text(text)


def test_an_exception_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    found = read_exceptions(tmp_path, DAY)
    assert found.errors == ()
    assert found.of("prod") == ()
    (exception,) = found.of("dev")
    assert exception == RuleException(
        "iam-boundary-required", ROLE, "It is older than the boundary.", "sre-platform", "2026-12-31"
    )


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_its_place_and_code(tmp_path: Path, name: str) -> None:
    old, new, line, column, code = MISTAKES[name]
    assert old in RIGHT
    write(tmp_path, RIGHT.replace(old, new))
    (error,) = read_exceptions(tmp_path, DAY).errors
    assert (error.location.line, error.location.column) == (line, column), str(error)
    if name != "anchor":  # its code is the reader's own
        assert error.code == code
    assert error.location.path.name == "exceptions.yaml"


def test_a_rule_that_there_is_not_fails_the_check(stacks: Path) -> None:
    soon = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)).isoformat()
    write(stacks, RIGHT.replace("iam-boundary-required", "iam-boundary-requird").replace("2026-12-31", soon))
    (error,) = check_stacks(stacks).errors
    assert (error.code, error.location.line, error.location.column) == ("unknown-rule", 3, 11)
    assert error.hint == "did you mean `iam-boundary-required`?"


def test_the_same_exception_twice_is_a_mistake(tmp_path: Path) -> None:
    write(tmp_path, RIGHT + RIGHT.partition("exceptions:\n")[2])
    assert [error.code for error in read_exceptions(tmp_path, DAY).errors] == ["duplicate"]


def test_an_expired_exception_fails_the_deploy(stacks: Path) -> None:
    write(stacks, RIGHT.replace("2026-12-31", "2020-01-01"))
    with pytest.raises(DeclarationErrors, match="the exception expired on 2020-01-01"):
        load_plan(stacks, load_environment(stacks, "dev"))


def test_an_exception_that_nobody_reviewed_fails_the_deploy(stacks: Path) -> None:
    soon = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)).isoformat()
    lock = stacks / "locks" / "dev.yaml"
    write(stacks, RIGHT.replace("2026-12-31", soon))
    plan = load_plan(stacks, load_environment(stacks, "dev"))
    with pytest.raises(NotWithinLockError, match=rf"{ROLE} need not keep iam-boundary-required until {soon}"):
        enforce_lock(plan, lock)
    lock.write_text(write_lock(plan))
    assert enforce_lock(plan, lock) == []


def test_the_lock_states_exceptions_and_the_diff_shows_them(stacks: Path) -> None:
    plan = load_plan(stacks, load_environment(stacks, "dev"))
    exception = RuleException("iam-boundary-required", ROLE, "why", "sre", "2026-12-31")
    excepted = replace(plan, exceptions=(exception,))
    text = write_lock(excepted)
    assert f"resource: {ROLE}" in text
    assert read_lock(text) == lock_of(excepted)
    assert "exceptions" not in write_lock(plan)

    (gain,) = compare_plans(plan, excepted).gains
    assert gain.words == f"{ROLE} need not keep iam-boundary-required until 2026-12-31; sre answers for it: why"
    assert gain.impact == "high"
    (loss,) = compare_plans(excepted, plan).losses
    assert "must keep iam-boundary-required again" in loss.words
    longer = replace(plan, exceptions=(replace(exception, expires="2027-01-01"),))
    assert len(compare_plans(excepted, longer).gains) == 1
    assert compare_plans(longer, excepted).gains == ()
    reasoned = replace(plan, exceptions=(replace(exception, reason="another"),))
    assert compare_plans(excepted, reasoned).no_new_access
    assert len(compare_plans(excepted, reasoned).notes) == 1


def test_a_date_in_the_lock_must_be_one(stacks: Path) -> None:
    plan = load_plan(stacks, load_environment(stacks, "dev"))
    text = write_lock(replace(plan, exceptions=(RuleException("r", ROLE, "why", "sre", "2026-12-31"),)))
    with pytest.raises(LockError, match="must be a date"):
        read_lock(text.replace("2026-12-31", "for ever"))


def test_the_last_day_is_the_day_of_expiry() -> None:
    exception = RuleException("iam-boundary-required", ROLE, "why", "sre", "2026-12-31")
    assert in_force([exception], dt.date(2026, 12, 31)) == (exception,)
    assert in_force([exception], dt.date(2027, 1, 1)) == ()


TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
)


def refused_rules(settings: Settings, urn: str = URN, name: str = "reports") -> set[str]:
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    facts = [
        IamIdentity(at=urn, kind="role", name=name, path="/narrowgate/dev/tool/", trust=TRUST),
        IamPolicy(at=urn, kind="role", holder=name, name="p", document=json.dumps(allow)),
    ]
    return {finding.rule for finding in judge(facts, settings)}


def except_all(environment: str, resource: str = ROLE) -> Settings:
    exceptions = tuple(RuleException(rule.name, resource, "why", "sre", "2026-12-31") for rule in RULES)
    return Settings(environment=environment, exceptions=exceptions)


def test_an_exception_is_of_one_resource_and_one_rule() -> None:
    everything = refused_rules(Settings(environment="dev"))
    assert {"iam-role-no-admin", "iam-boundary-required", "workflow-owner-required"} <= everything
    one = RuleException("iam-boundary-required", ROLE, "why", "sre", "2026-12-31")
    assert refused_rules(Settings(environment="dev", exceptions=(one,))) == everything - {"iam-boundary-required"}
    other = replace(one, resource="aws:iam/role:Role::other")
    assert refused_rules(Settings(environment="dev", exceptions=(other,))) == everything
    assert refused_rules(except_all("dev")) == set()


@pytest.mark.parametrize("environment", ["prod", "production", "live", "eu-prod", "development2"])
def test_no_rule_of_admin_or_sharing_is_excepted_in_production(environment: str) -> None:
    assert is_production(environment)
    everything = refused_rules(Settings(environment=environment))
    assert refused_rules(except_all(environment)) == everything - ANYWHERE
    for rule in RULES:
        if rule.name not in ANYWHERE:
            assert refuse_exception(rule.name, ROLE, environment), rule.name
            assert not is_excepted(rule.name, URN, environment, except_all(environment).exceptions)
    assert not any(rule.startswith("iam-") or "shared" in rule or "sudo" in rule for rule in ANYWHERE)


def test_a_system_identity_is_never_excepted(stacks: Path) -> None:
    environment = load_environment(stacks, "dev")
    name = environment.aws.broker_arn.rsplit("/", 1)[-1]
    exceptions = except_all("dev").exceptions
    settings = replace(settings_of(environment), exceptions=exceptions)
    facts = [IamIdentity(at=URN, kind="user", name=name, path="/narrowgate/dev/")]
    assert judge(facts, settings) == judge(facts, settings_of(environment)) != []


def test_what_narrowgate_makes_is_never_excepted() -> None:
    resource = f"narrowgate:index:AgentWorkflow${ROLE}"
    urn = f"urn:pulumi:dev::narrowgate::{resource}"
    assert refused_rules(except_all("dev", resource), urn) == refused_rules(Settings(environment="dev"), urn) != set()


def test_the_table_names_rules_that_there_are() -> None:
    assert {rule.name for rule in RULES} >= NEVER | ANYWHERE
    assert not NEVER & ANYWHERE
