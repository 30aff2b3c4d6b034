"""What a trace joins and finds, over small logs written here; the real ones are traced in tests/rehearsal."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from trace_records import KEY, LEASE, SESSION, Logs

from narrowgate.audit.trace import Question, SourceError, Sources, Trace, build_trace, search
from narrowgate.audit.trace.page import render_page
from narrowgate.audit.trace.render import render_json, render_text
from narrowgate.runtime.proposals import make_request_id

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    found = Logs(tmp_path)
    found.login()
    found.call(3, "aws-1")
    found.event(3, "aws-1")
    return found


def trace(sources: Sources, now: dt.datetime = NOW, **asked: str) -> Trace:
    return build_trace(search(sources, Question(**(asked or {"workflow": "triage"}))), now)


def codes(answer: Trace) -> list[str]:
    return [finding.code for finding in answer.findings]


IDS = ["aws-1", LEASE, KEY, SESSION, "accessor-of-alice", "0b0e0b0e-0000-4000-8000-000000000000:4", "event-0"]


@pytest.mark.parametrize("identifier", IDS)
def test_every_name_of_a_call_leads_to_user_agent_credential_and_call(logs: Logs, identifier: str) -> None:
    answer = trace(logs.write(), id=identifier)
    (session,) = answer.sessions
    assert (session.user, session.workflow, session.accessor) == ("alice", "triage", "accessor-of-alice")
    (credential,) = session.credentials
    assert (credential.lease, credential.access_key, credential.session) == (LEASE, KEY, SESSION)
    assert [call.sources for call in credential.calls] == [("ledger", "cloudtrail")]
    assert answer.findings == []


@pytest.mark.parametrize("form", ["lines", "records", "gzip"])
def test_cloudtrails_files_are_read_in_each_of_their_forms(logs: Logs, form: str) -> None:
    logs.event(4, "aws-2", userAgent='quote " and {"eventVersion":"x"},{ in a text')
    answer = trace(logs.write(form=form))
    assert [call.event.requests for call in answer.calls] == [("aws-1",), ("aws-2",)]


def test_a_call_outside_any_tool_call_is_found(logs: Logs) -> None:
    logs.event(9, "stolen", eventName="DescribeLogGroups")
    answer = trace(logs.write())
    (finding,) = answer.findings
    assert (finding.code, finding.workflow, finding.user) == ("call-unrecorded", "triage", "alice")
    assert "logs:DescribeLogGroups" in finding.what
    assert finding.place.endswith("trail.jsonl:2")


def test_one_record_accounts_for_one_call_only(logs: Logs) -> None:
    logs.event(4, errorCode="AccessDenied")
    logs.event(4, errorCode="AccessDenied")
    logs.call(4, outcome="refused")  # a refused call has no request id
    assert codes(trace(logs.write())) == ["call-unrecorded"]


def test_a_record_of_another_time_or_key_accounts_for_nothing(logs: Logs) -> None:
    logs.event(40, "other")
    logs.call(10)
    assert codes(trace(logs.write())) == ["call-unrecorded"]


def test_calls_of_a_lease_whose_calls_are_not_kept_are_no_finding(logs: Logs) -> None:
    logs.entry("lease", 5, tool="logs", lease={"id": LEASE, "access_key_id": KEY}, recorded=False)
    logs.event(9, "exported")
    assert trace(logs.write()).findings == []


def test_without_a_ledger_nothing_is_called_unrecorded(logs: Logs) -> None:
    logs.event(9, "stolen")
    answer = trace(logs.write(without=("ledger",)))
    assert answer.findings == []
    assert any("the ledger was not given" in note for note in answer.notes)


def test_what_cloudtrail_may_still_bring_is_no_gap(logs: Logs) -> None:
    logs.call(30, "aws-late")
    soon = dt.datetime(2026, 1, 31, 8, 10, tzinfo=dt.UTC)
    answer = trace(logs.write(), now=soon)
    assert answer.findings == []
    assert any("may still come" in note for note in answer.notes)
    assert not any("may still come" in note for note in trace(logs.write(), now=NOW).notes)


def test_an_entry_without_a_lease_is_found(logs: Logs) -> None:
    logs.call(5, lease=None)
    assert codes(trace(logs.write())) == ["entry-without-lease"]


def test_an_entry_by_a_lease_that_vault_never_issued_is_found(logs: Logs) -> None:
    logs.call(5, lease={"id": "narrowgate-aws/sts/triage.logs/made-up"})
    assert codes(trace(logs.write())) == ["lease-unknown"]
    assert codes(trace(logs.write(without=("vault",)))) == []


def gated(logs: Logs, *, approver: list[dict[str, str]]) -> str:
    request = make_request_id("triage", "entity-1", "logs.purge.1")
    key = request.partition(".")[2]
    create = {"operation": "create"}
    logs.answer("narrowgate-drafts/data/triage/entity-1/logs.purge.1", 10, **create)
    people = {"display": "people-ann", "policies": ["approver"], "accessor": "accessor-of-ann"}
    logs.answer(f"narrowgate-decisions/data/triage/{key}/entity-ann", 20, **create, **people)
    lease = {"id": "narrowgate-aws-gated/sts/triage.logs.purge/x", "access_key_id": "ASIAGATED"}
    body = {"tool": "logs", "action": "purge", "operation": "gated:execute", "case_id": request, "approver": approver}
    logs.entry("begin", 29, **body)
    logs.entry("call", 31, **body, outcome="allowed", lease=lease)
    return request


def use_gated(logs: Logs) -> None:
    logs.event(30, "gated", kind="gated")
    identity = logs.trail[-1]["userIdentity"]
    identity["accessKeyId"] = "ASIAGATED"
    identity["arn"] = identity["arn"].rpartition("/")[0] + "/triage.logs.purge@executor"


def test_a_proposal_tells_who_asked_who_approved_and_what_was_executed(logs: Logs) -> None:
    request = gated(logs, approver=[{"name": "ann", "reason": "Checked."}])
    use_gated(logs)
    for asked in ({"id": request}, {"workflow": "triage"}, {"user": "alice"}, {"id": "ASIAGATED"}):
        answer = trace(logs.write(), **asked)
        (proposal,) = answer.proposals
        assert (proposal.case, proposal.user, proposal.tool, proposal.action) == (request, "alice", "logs", "purge")
        assert proposal.approvers == ("ann (Checked.)",)
        assert [who for _, who in proposal.decided] == ["people-ann"]
        assert proposal.execution is not None
        assert proposal.execution.outcome == "allowed"
        assert [len(credential.calls) for credential in proposal.credentials] == [1]
        assert answer.findings == []


def test_a_gated_role_used_without_an_approval_is_found(logs: Logs) -> None:
    use_gated(logs)
    assert codes(trace(logs.write())) == ["gated-unapproved"]


def test_an_execution_that_names_no_approver_is_found(logs: Logs) -> None:
    gated(logs, approver=[])
    use_gated(logs)
    assert codes(trace(logs.write())) == ["gated-unapproved", "execution-unapproved"]


def test_other_users_and_workflows_are_not_in_it(logs: Logs) -> None:
    logs.call(5, user="bob", lease={"id": "narrowgate-aws/sts/triage.logs/bobs"})
    logs.call(6, workflow="other", lease={"id": "narrowgate-aws/sts/other.logs/x"})
    sources = logs.write()
    assert {session.user for session in trace(sources, user="alice").sessions} == {"alice"}
    assert {session.workflow for session in trace(sources).sessions} == {"triage"}
    assert trace(sources, workflow="none").sessions == []


def test_since_leaves_out_older_calls(logs: Logs) -> None:
    logs.call(40, "aws-2")
    answer = trace(logs.write(), workflow="triage", since="2026-01-31T08:00:30.000000Z")
    assert [call.event.requests for call in answer.calls] == [("aws-2",)]


class Page(HTMLParser):
    """Gathers the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}


def test_the_page_holds_no_markup_of_others_and_loads_nothing(logs: Logs) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J'
    logs.call(5, inputs={"logGroupName": evil}, user=evil, error=evil)
    page = render_page(trace(logs.write()))
    parsed = Page()
    parsed.feed(page)
    assert {"script", "img", "link", "iframe"}.isdisjoint(parsed.tags)
    assert not any(name.startswith("on") or name in {"style", "src", "href"} for name in parsed.names)
    assert "svg" in parsed.tags
    assert "default-src &#x27;none&#x27;" in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page + render_text(trace(logs.write()))


def test_the_style_sheet_is_the_one_that_the_policy_allows(logs: Logs) -> None:
    import base64
    import hashlib

    page = render_page(trace(logs.write()))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode() in page


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "narrowgate", "trace", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ})


def test_the_command_answers_in_each_format_and_by_exit_code(logs: Logs) -> None:
    logs.event(9, "stolen")
    logs.write()
    folder = logs.folder
    given = ["-l", f"{folder}/ledger.jsonl", "--vault-audit", f"{folder}/vault.jsonl"]
    trail = ["--cloudtrail", f"{folder}/trail.jsonl"]
    text = run("-w", "triage", *given, *trail)
    assert text.returncode == 1, text.stderr
    assert "alice asked; agent triage" in text.stdout
    assert "FINDING" in text.stdout
    found = json.loads(run(KEY, *given, *trail, "-f", "json").stdout)
    assert [finding["code"] for finding in found["findings"]] == ["call-unrecorded"]
    assert run(KEY, *given, *trail, "-f", "html").stdout.startswith("<!doctype html>")
    assert run("-w", "triage", *given).returncode == 0
    for wrong in (("-w", "triage"), (*given,), ("-w", "triage", "-l", "/nowhere"), (KEY, "-w", "x", *given)):
        done = run(*wrong)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), wrong


@pytest.mark.parametrize("text", ["nonsense\n", "[1,2]\n", '{"a":\n', "\x00\xff\n"])
def test_a_source_that_is_none_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SourceError, match=r"bad\.jsonl"):
        search(Sources(ledgers=(path,)), Question(workflow="triage"))


def test_json_says_all_that_text_says(logs: Logs) -> None:
    value = json.loads(render_json(trace(logs.write())))
    (session,) = value["sessions"]
    assert (session["user"], session["workflow"], value["version"]) == ("alice", "triage", 1)
    assert session["credentials"][0]["calls"][0]["sources"] == ["ledger", "cloudtrail"]
