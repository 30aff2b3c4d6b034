"""Each rule has a page; its examples are run; the index is what the registry makes of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from narrowgate_policies.properties import UNKNOWN
from narrowgate_policies.resource import Resource
from narrowgate_policies.translate import READERS, facts_of
from ruamel.yaml import YAML

from narrowgate.access.lock import lock_file
from narrowgate.access.locked import LockedDocuments
from narrowgate.declarations import load_environment
from narrowgate.rules import RULES, judge, settings_of

if TYPE_CHECKING:
    from narrowgate.rules.facts import Fact

PAGES = Path(__file__).resolve().parents[2] / "docs" / "rules"
REFERENCE = r"\$\{(\w+)\.\w+\}"
SECTIONS = ("Why", "Refused", "Passes")
STACKS = Path(__file__).resolve().parent / "stacks"
ENVIRONMENT = load_environment(STACKS, "dev")
DEV = replace(
    settings_of(ENVIRONMENT, LockedDocuments.read(ENVIRONMENT, lock_file(STACKS, "dev"))),
    bindings=load_environment(PAGES.parents[1] / "stacks", "dev"),
)
NAMES = [rule.name for rule in RULES]


def page(rule: str) -> str:
    return (PAGES / f"{rule}.md").read_text(encoding="utf-8")


def example(rule: str, section: str) -> list[Fact]:
    """Return the facts of the resources in the example of a page's section."""
    text = page(rule).split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    facts: list[Fact] = []
    resources = YAML(typ="safe").load(block)["resources"]
    urns = {name: f"urn:pulumi:dev::narrowgate::{resource['type']}::{name}" for name, resource in resources.items()}
    for name, resource in resources.items():
        assert resource["type"] in READERS

        def resolve(key: str, given: dict[str, object] = resource["properties"]) -> tuple[str, ...]:
            found = re.fullmatch(REFERENCE, str(given.get(key)))
            return (urns[found[1]],) if found and found[1] in urns else ()

        properties = with_unknowns(resource["properties"])
        facts += facts_of(Resource(resource["type"], urns[name], properties, resolve=resolve, later=True))
    assert facts
    return facts


def with_unknowns(value: object) -> object:
    """Replace `${resource.output}` by what the pack sees of it at preview."""
    if isinstance(value, dict):
        return {key: with_unknowns(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_unknowns(item) for item in value]
    if isinstance(value, str) and re.fullmatch(REFERENCE, value):
        return UNKNOWN
    return value


@pytest.mark.parametrize("rule", NAMES)
def test_refused_example_is_refused(rule: str) -> None:
    findings = [finding for finding in judge(example(rule, "Refused"), DEV) if finding.rule == rule]
    assert findings
    for finding in findings:
        assert finding.message
        assert finding.detail
        assert finding.fix
        assert finding.resource.startswith("urn:pulumi:dev::")


@pytest.mark.parametrize("rule", NAMES)
def test_passing_example_passes(rule: str) -> None:
    assert [finding for finding in judge(example(rule, "Passes"), DEV) if finding.rule == rule] == []


@pytest.mark.parametrize("rule", NAMES)
def test_page_says_what_why_source_severity_and_configuration(rule: str) -> None:
    text = page(rule)
    assert text.startswith(f"# {rule}\n")
    for section in SECTIONS:
        assert f"\n## {section}\n" in text
    for line in ("Source: ", "Severity: ", "Configuration: "):
        assert f"\n{line}" in text


def test_no_page_without_a_rule() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {*NAMES, "README"}


def test_index_is_up_to_date(request: pytest.FixtureRequest) -> None:
    begin, end = "<!-- rules: begin -->\n", "<!-- rules: end -->"
    path = PAGES / "README.md"
    text = path.read_text(encoding="utf-8")
    rows = "".join(f"| [{rule.name}]({rule.name}.md) | {rule.title} |\n" for rule in RULES)
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    made = f"{head}{begin}| rule | what must be so |\n| --- | --- |\n{rows}{end}{tail}"
    if request.config.getoption("--update-golden"):
        path.write_text(made, encoding="utf-8")
    else:
        assert text == made, "run pytest --update-golden tests/rules"
