"""What a person sees of a case: all of it, and nothing that a terminal would obey or an eye would overlook."""

from __future__ import annotations

import io
import json
import unicodedata
from contextlib import redirect_stdout

from hypothesis import example, given
from hypothesis import strategies as st

from narrowgate.approvals.case import Case, Change, Hold, Outcome, Person, State, Verdict
from narrowgate.approvals.decide import CaseView, PersonalDecision
from narrowgate.approvals.present import describe, present
from narrowgate.approvals.settings import FactorRule
from narrowgate.cli._approvals_output import echo_json, render_case, render_line

HOSTILE = "\x1b[2J\x1b[1;31mApproved\x07\r\u202egnp.exe\u2066\u200b\x9b31m\u2028\x7f"


def make_view(text: str, *, before: object = None, version: str | None = "sha256:0") -> CaseView:
    case = Case(
        request="vendor-onboarding." + "a" * 20,
        environment="dev",
        workflow="vendor-onboarding",
        tool="vendors",
        action="create",
        description="Makes a vendor.",
        requester=Person("entity", text),
        draft="vendors.create.1",
        drafted_at="2026-01-01T00:00:00+00:00",
        inputs={"name": text, "nested": {text: [text]}},
        rationale=text,
        calls={"function": "create_vendor", "arguments": [text]},
        target=text,
        changes=(Change("vendors.name", before, text),),
        target_version=version,
        reversible="yes",
        factors=(FactorRule(("a",), 1), FactorRule(("b", "c"), 2)),
        created_at="2026-01-01T00:00:00+00:00",
        expires_at="2999-01-01T00:00:00+00:00",
    )
    decision = PersonalDecision(Person("e2", text), Verdict.APPROVE, text, "2026-01-01T00:00:00+00:00", counts=False)
    outcome = Outcome(State.EXECUTED, text, case.digest, text, "now", result=text, approvers=({"name": text},))
    return CaseView(case, case.digest, Hold("x", "y"), State.EXECUTED, (decision,), 0, text, outcome, "now")


def is_safe(line: str) -> bool:
    return all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in line)


@given(st.text(min_size=1, max_size=60) | st.just(HOSTILE))
@example("\n")
def test_no_character_that_acts_or_hides_reaches_a_terminal(text: str) -> None:
    shown = present(make_view(text))
    assert all(is_safe(line) for line in render_case(shown).split("\n"))
    assert is_safe(render_line(shown))


def test_no_line_of_the_agent_passes_for_one_of_ours() -> None:
    text = "fine\ndigest       sha256:forged\nstate        executed"
    lines = render_case(present(make_view(text))).split("\n")
    assert [line for line in lines if line.startswith("digest ")] == [f"digest       {make_view(text).digest}"]
    assert "  | digest       sha256:forged" in lines


def test_nothing_is_left_out_however_long_it_is() -> None:
    text = "x" * 5_000 + " the end"
    rendered = render_case(present(make_view(text)))
    places = ("requester", "input", "name in nested", "value in nested", "rationale", "target", "after", "argument")
    assert rendered.count(text) >= len(places)


def test_what_is_odd_is_said_with_its_place() -> None:
    warnings = " ".join(present(make_view("p\u0430ypal\u200b")).warnings)
    assert "inputs.name: 1 hidden" in warnings
    assert "rationale: a word mixes letters" in warnings
    assert "inputs.nested, a name:" in warnings


def test_a_target_that_is_not_read_and_one_that_is_so_already_are_told() -> None:
    assert any("is not read" in warning for warning in present(make_view("x", version=None)).warnings)
    assert any("already so" in warning for warning in present(make_view("x", before="x")).warnings)
    assert not present(make_view("x", before="y")).warnings


def test_who_decides_is_said_for_each_factor() -> None:
    assert present(make_view("x")).deciders == "1 of a, and 2 of b or c"


def test_json_is_ascii_and_keeps_every_value() -> None:
    printed = io.StringIO()
    with redirect_stdout(printed):
        echo_json(describe(make_view(HOSTILE)), indent=None)
    line = printed.getvalue()
    assert all(" " <= character <= "~" for character in line.removesuffix("\n"))
    assert json.loads(line)["case"]["rationale"] == HOSTILE
