"""Each mistake in a workflow or a binding has its place, its code and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.declarations import DeclarationErrors, load_environment, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INCIDENT = "workflows/incident-summarization.yaml"
VENDOR = "workflows/vendor-onboarding.yaml"
ENV = "Pulumi.dev.yaml"

# file, what is replaced, by what, then the line, column and code of the only error, and a part of message or hint
MISTAKES = {
    "unknown key": (INCIDENT, "owner: ", "ownr: x\nowner: ", 4, 1, "unknown-key", "did you mean `owner`?"),
    "unknown key deep": (INCIDENT, "max_ttl: 1h", "max_ttl: 1h, maxttl: 2h", 9, 34, "unknown-key", "max_ttl"),
    "missing key": (INCIDENT, "owner: sre-platform\n", "", 2, 1, "missing-key", "`owner` is missing"),
    "missing tools": (INCIDENT, "identity: jwt\n", "", 2, 1, "missing-key", "`identity`"),
    "newer version": (INCIDENT, "version: 1", "version: 2", 2, 10, "bad-value", "newer"),
    "version as text": (INCIDENT, "version: 1", 'version: "1"', 2, 10, "unknown-value", "one of 1"),
    "other name than file": (
        INCIDENT,
        "workflow: incident-summarization",
        "workflow: incidents",
        3,
        11,
        "file-name",
        "",
    ),
    "no name": (INCIDENT, "workflow: incident-summarization", "workflow: Incident", 3, 11, "bad-value", "lower-case"),
    "owner that no tag can hold": (INCIDENT, "owner: sre-platform", "owner: 'a#b'", 4, 8, "bad-format", ""),
    "unknown tool": (INCIDENT, "  logs:\n", "  logz:\n", 11, 3, "unknown-tool", "did you mean `logs`?"),
    "unknown action": (INCIDENT, "[search]", "[serach]", 12, 15, "unknown-action", "did you mean `search`?"),
    "action twice": (INCIDENT, "[search]", "[search, search]", 12, 23, "duplicate-name", "twice"),
    "no action": (INCIDENT, "[search]", "[]", 12, 14, "wrong-type", "at least 1"),
    "unknown scope": (INCIDENT, "{tenant: emea}", "{tenant: emea, region: eu}", 19, 27, "unknown-scope", "tenant"),
    "missing scope": (INCIDENT, "{tenant: emea}", "{}", 19, 12, "missing-scope", "needs the scope `tenant`"),
    "scope of other type": (INCIDENT, "{tenant: emea}", "{tenant: 3}", 19, 21, "scope-value", "string"),
    "scope list for text": (INCIDENT, "{tenant: emea}", "{tenant: [emea]}", 19, 21, "scope-value", "string"),
    "empty scope list": (INCIDENT, "[/app/payments, /app/checkout]", "[]", 13, 21, "scope-value", ""),
    "empty scope text": (INCIDENT, "{tenant: emea}", "{tenant: ''}", 19, 21, "scope-value", "1 to 1024"),
    "wildcard in a log group": (INCIDENT, "/app/payments,", "'/app/*',", 13, 21, "value-not-fit", "no logs name"),
    "variable in a log group": (INCIDENT, "/app/payments,", "'${env.name}',", 13, 21, "value-not-fit", "no logs name"),
    "separator in a log group": (INCIDENT, "/app/payments,", "'/app:x',", 13, 21, "value-not-fit", "no logs name"),
    "unbounded time": (INCIDENT, "ttl: 15m, max_ttl: 1h", "ttl: 15m", 9, 10, "missing-key", "max_ttl"),
    "time without unit": (INCIDENT, "ttl: 15m,", "ttl: 900,", 9, 16, "bad-value", "15m"),
    "no time": (INCIDENT, "ttl: 15m,", "ttl: 0m,", 9, 16, "bad-value", "longer than nothing"),
    "ttl over max": (INCIDENT, "ttl: 15m,", "ttl: 2h,", 9, 16, "time", "shorten"),
    "session over the cap": (INCIDENT, "max_ttl: 1h", "max_ttl: 9h", 9, 30, "time", "dev allows: 8h"),
    "tool over the cap": (INCIDENT, "[search]", "[search]\n    max_ttl: 2h", 13, 14, "time", "dev allows: 1h"),
    "tool below the floor": (INCIDENT, "[search]", "[search]\n    max_ttl: 5m", 13, 14, "time", "STS"),
    "unknown identity": (INCIDENT, "identity: jwt", "identity: password", 7, 11, "unknown-value", "jwt"),
    "user unknown": (INCIDENT, "identity: jwt", "identity: kubernetes", 8, 13, "requester-unknown", "requesters: none"),
    "no requesters": (INCIDENT, "[on-call]", "[]", 8, 13, "wrong-type", ""),
    "environment twice": (INCIDENT, "[dev]", "[dev, dev]", 6, 21, "duplicate-name", ""),
    "key twice": (INCIDENT, "purpose:", "owner: x\npurpose:", 5, 1, "duplicate-key", "twice"),
    "alias": (INCIDENT, "owner: sre-platform", "owner: *x", 4, 8, "yaml-alias", ""),
    "anchor": (INCIDENT, "owner: sre-platform", "owner: &x sre-platform", 4, 8, "yaml-alias", ""),
    "tag": (INCIDENT, "owner: sre-platform", "owner: !!str sre", 4, 8, "yaml-tag", ""),
    "python tag": (INCIDENT, "owner: sre-platform", "owner: !!python/object/apply:os.system [x]", 4, 8, "yaml-tag", ""),
    "not YAML": (INCIDENT, "[on-call]", "[on-call", 9, 8, "yaml-syntax", ""),
    "missing approval": (
        VENDOR,
        "\napprovals:\n  vendors.create: {approvers: [vendor-approvers], required: 1, expires: 30m}",
        "",
        15,
        21,
        "missing-approval",
        "who approves",
    ),
    "approval of no action": (VENDOR, "[read, create]", "[read]", 18, 3, "unknown-approval", ""),
    "approval of an ungated action": (
        VENDOR,
        "  vendors.create:",
        "  vendors.read: {approvers: [a], expires: 1h}\n  vendors.create:",
        18,
        3,
        "unknown-approval",
        "vendors.create",
    ),
    "approval without approvers": (VENDOR, "approvers: [vendor-approvers], ", "", 18, 19, "missing-key", "approvers"),
    "approval without end": (VENDOR, ", expires: 30m", "", 18, 19, "missing-key", "expires"),
    "nobody must approve": (VENDOR, "required: 1", "required: 0", 18, 61, "wrong-type", ""),
    "no binding": (ENV, "      documents: {bucket: acme-dev-documents}\n", "", 14, 3, "missing-binding", "`bucket`"),
    "binding that is no bucket": (
        ENV,
        "bucket: acme-dev-documents",
        "bucket: 'acme-*'",
        15,
        5,
        "value-not-fit",
        "bucket",
    ),
    "binding unknown to the tool": (
        ENV,
        "{bucket: acme-dev-documents}",
        "{bucket: acme-dev-documents, buckt: x}",
        14,
        3,
        "bad-binding",
        "buckt",
    ),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_has_its_place_code_and_words(name: str, stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    file, old, new, line, column, code, words = MISTAKES[name]
    edit(file, old, new)
    with pytest.raises(DeclarationErrors) as caught:
        load_plan(stacks, load_environment(stacks, "dev"))
    errors = caught.value.errors
    # What a binding makes impossible is said at each workflow that uses the tool.
    first = next(e for e in errors if e.location.path == stacks / (INCIDENT if file == ENV else file))
    assert (first.location.line, first.location.column, first.code) == (line, column, code), str(first)
    assert words in str(first)
    assert {e.code for e in errors} == {code}, [str(e) for e in errors]
