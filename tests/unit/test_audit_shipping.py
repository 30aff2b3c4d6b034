"""What is no target is refused; batches keep to what a service takes; what it refuses is not taken for shipped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from narrowgate.access import iam
from narrowgate.audit.ledger import Entry, Ledger, LedgerError, Origin
from narrowgate.audit.ledger.reading import LedgerUnreadableError
from narrowgate.audit.shipping import ShippedDiffersError, ShippingError, TargetError, parse_target, ship_ledger
from narrowgate.audit.shipping.batches import Batch, Line
from narrowgate.audit.shipping.sending import note_path
from narrowgate.audit.shipping.targets import DAY_MILLISECONDS
from narrowgate.cli.app import build_app

if TYPE_CHECKING:
    from pathlib import Path


class Logs:
    """Takes what it is given, as CloudWatch Logs' client does, and answers as a test scripts it."""

    def __init__(self, answer: dict[str, Any] | Exception | None = None) -> None:
        self.answer = answer
        self.taken: list[list[dict[str, Any]]] = []

    def put_log_events(self, **wanted: list[dict[str, Any]]) -> dict[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.taken.append(wanted["logEvents"])
        return self.answer or {}


def line(seq: int, time: str) -> Line:
    return Line(seq, "0" * 64, b'{"version":1,"seq":%d,"time":"%s"}\n' % (seq, time.encode()))


@pytest.mark.parametrize(
    "text",
    ["", "s3://", "s3://UPPER/x", "s3://acme/a b", "https://acme/x", "logs:", "logs:a b", "file:///tmp", "s3:/x"],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(TargetError):
        parse_target(text)


def test_a_log_group_cannot_lock() -> None:
    with pytest.raises(TargetError):
        parse_target("logs:/ledgers", retain_days=3)


def test_log_events_come_in_order_of_time_and_a_day_at_most_at_once() -> None:
    target = parse_target("logs:/ledgers")
    target.client = logs = Logs()
    times = ("2026-01-01T00:00:01.5Z", "2026-01-01T00:00:00Z", "2026-01-01T23:59:59Z", "2026-01-03T00:00:00Z")
    target.put("id", "triage", Batch([line(number, time) for number, time in enumerate(times, start=1)]))
    stamps = [[event["timestamp"] for event in events] for events in logs.taken]
    assert [len(day) for day in stamps] == [3, 1]
    for day in stamps:
        assert day == sorted(day)
        assert day[-1] - day[0] < DAY_MILLISECONDS
    assert [json.loads(event["message"])["seq"] for day in logs.taken for event in day] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "answer",
    [
        {"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}},
        ClientError({"Error": {"Code": "ThrottlingException"}}, "PutLogEvents"),
    ],
)
def test_what_was_refused_is_not_shipped(answer: dict[str, Any] | Exception, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, Origin("dev", "triage")) as ledger:
        ledger.record(Entry(kind="note"))
    target = parse_target("logs:/ledgers")
    target.client = Logs(answer)
    with pytest.raises(ShippingError):
        ship_ledger(path, target)
    assert not note_path(path).exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version":2,"targets":{}}', '{"version":1,"targets":{"x":{}}}'])
def test_a_note_that_is_none_is_an_error_and_loses_nothing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, Origin("dev", "triage")) as ledger:
        ledger.record(Entry(kind="note"))
    note_path(path).write_text(text)
    target = parse_target("logs:/ledgers")
    target.client = logs = Logs()
    with pytest.raises(LedgerUnreadableError):
        ship_ledger(path, target)
    assert logs.taken == []
    assert note_path(path).read_text() == text


def test_what_is_no_ledger_is_not_shipped(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    target = parse_target("logs:/ledgers")
    target.client = logs = Logs()
    for content in ("", "notes\n", '{"version":1}\n'):
        path.write_text(content)
        with pytest.raises((LedgerUnreadableError, ShippedDiffersError)):
            ship_ledger(path, target)
    with pytest.raises(LedgerError):
        ship_ledger(tmp_path / "none", target)
    assert logs.taken == []


@pytest.mark.parametrize(
    ("to", "allowed", "refused"),
    [
        ("s3://acme/dev", ("s3:PutObject", "arn:aws:s3:::acme/dev/x"), ("s3:PutObject", "arn:aws:s3:::acme/prod/x")),
        ("s3://acme/dev", ("s3:PutObject", "arn:aws:s3:::acme/dev/x"), ("s3:GetObject", "arn:aws:s3:::acme/dev/x")),
        (
            "logs:/ng",
            ("logs:PutLogEvents", "arn:aws:logs:eu-central-1:111122223333:log-group:/ng:log-stream:x"),
            ("logs:PutLogEvents", "arn:aws:logs:eu-central-1:111122223333:log-group:/ngx:log-stream:x"),
        ),
    ],
)
def test_the_shippers_policy_allows_putting_there_only(
    to: str, allowed: tuple[str, str], refused: tuple[str, str]
) -> None:
    policy = parse_target(to).describe_policy("aws", "eu-central-1", "111122223333")
    for (action, resource), expected in ((allowed, True), (refused, False)):
        assert iam.evaluate([policy], action, resource).allowed is expected


def test_policies_are_printed_for_an_environment(stacks: Path) -> None:
    runner = CliRunner()
    options = ["--stacks", str(stacks), "--env", "dev"]
    done = runner.invoke(build_app(), ["ledger", "policy", "shipper", *options, "--to", "s3://acme/dev"])
    assert json.loads(done.stdout)["Statement"][0]["Action"] == ["s3:PutObject"]
    assert (
        'path "narrowgate-ledger/data/+/+/+"'
        in runner.invoke(build_app(), ["ledger", "policy", "auditor", *options]).stdout
    )
    assert "iam:GetRole" in runner.invoke(build_app(), ["ledger", "policy", "auditor-aws", *options]).stdout
    assert isinstance(runner.invoke(build_app(), ["ledger", "policy", "shipper", *options]).exception, TargetError)


def test_what_was_shipped_and_is_not_there_any_more_is_not_shipped_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, Origin("dev", "triage")) as ledger:
        ledger.record(Entry(kind="note", details={"number": 1}))
    target = parse_target("logs:/ledgers")
    target.client = logs = Logs()
    assert ship_ledger(path, target)[1] == 2
    whole = path.read_bytes()
    for harmed in (whole.replace(b'"number":1', b'"number":2'), whole.splitlines(keepends=True)[0]):
        path.write_bytes(harmed)
        with pytest.raises(ShippedDiffersError):
            ship_ledger(path, target)
    path.write_bytes(whole)
    assert ship_ledger(path, target)[1] == 0
    assert len(logs.taken) == 1
