"""Ledgers are shipped by an identity that may only put, at least once, and what arrived is what was written."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from narrowgate.audit.ledger import Entry, Ledger, Origin
from narrowgate.audit.ledger.places import list_parts
from narrowgate.audit.ledger.verify import verify_parts
from narrowgate.audit.shipping import (
    ShippedDiffersError,
    ShippingError,
    fetch_ledger,
    parse_target,
    read_shipped_through,
    ship_ledger,
)
from narrowgate.audit.shipping.sending import note_path
from rehearsal import aws

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.audit.shipping import Target
    from rehearsal.live import LiveRehearsal

BUCKET, GROUP = "acme-dev-ledgers", "/narrowgate/ledgers"
TARGETS = (f"s3://{BUCKET}/dev", f"logs:{GROUP}")
LOCK = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}}
SECRET = "hunter2hunter2"
READER = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": f"arn:aws:s3:::{BUCKET}"},
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"arn:aws:s3:::{BUCKET}/*"},
        {"Effect": "Allow", "Action": ["logs:GetLogEvents"], "Resource": "*"},
    ],
}


@dataclass
class Places:
    """The bucket, the log group, and keys of who puts, who reads, and the operator."""

    live: LiveRehearsal
    keys: dict[str, aws.AccessKey]

    def target(self, name: str, who: str, **more: Any) -> Target:  # noqa: ANN401 - parse_target's own
        target = parse_target(name, **more)
        target.client = self.client(name, who)
        return target

    def client(self, name: str, who: str) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
        return self.live.aws(name.partition(":")[0], self.keys[who])

    def environment(self, who: str) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.keys[who].id,
            "AWS_SECRET_ACCESS_KEY": self.keys[who].secret,
            "AWS_DEFAULT_REGION": self.live.region,
            "AWS_ENDPOINT_URL": aws.get_endpoint(self.live.layout),
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "PATH": str(Path(sys.executable).parent),
        }


@pytest.fixture(scope="module")
def places(servers: LiveRehearsal) -> Places:
    s3, logs, iam = (servers.aws(service) for service in ("s3", "logs", "iam"))
    s3.create_bucket(
        Bucket=BUCKET,
        ObjectLockEnabledForBucket=True,
        CreateBucketConfiguration={"LocationConstraint": servers.region},
    )
    s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=LOCK)
    logs.create_log_group(logGroupName=GROUP)
    shipper: dict[str, Any] = {"Version": "2012-10-17", "Statement": []}
    for name in TARGETS:
        shipper["Statement"] += parse_target(name).describe_policy("aws", servers.region, servers.account)["Statement"]
    keys = {"operator": aws.read_operator_key(servers.layout)}
    for who, policy in (("shipper", shipper), ("reader", READER)):
        iam.create_user(UserName=who)
        iam.put_user_policy(UserName=who, PolicyName=who, PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName=who)["AccessKey"]
        keys[who] = aws.AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
    return Places(servers, keys)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture(params=TARGETS, ids=["s3", "logs"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(path: Path, count: int, max_bytes: int = 10_000) -> str:
    with Ledger(path, Origin("dev", "triage", "alice"), max_bytes=max_bytes) as ledger:
        for number in range(count):
            inputs = {"number": number, "Password": SECRET, "text": f"ünï \u2028 {SECRET}"}
            ledger.record(Entry(kind="call", tool="logs", outcome="allowed", inputs=inputs), secrets={SECRET})
        return ledger.read_id()


def content(path: Path) -> bytes:
    return b"".join(part.read_bytes() for part in list_parts(path))


def fetched(target: Target, ledger_id: str) -> bytes:
    return b"".join(fetch_ledger(target, ledger_id))


def test_what_arrives_is_what_was_written_over_all_files_and_without_a_secret(
    places: Places, ledger: Path, name: str
) -> None:
    ledger_id = write(ledger, 100)
    shipped, sent = ship_ledger(ledger, places.target(name, "shipper"))
    assert (shipped.seq, sent) == (content(ledger).count(b"\n"), content(ledger).count(b"\n"))
    arrived = fetched(places.target(name, "reader"), ledger_id)
    assert arrived == content(ledger)
    assert SECRET.encode() not in arrived
    assert len(list_parts(ledger)) > 2
    write(ledger, 10)
    assert ship_ledger(ledger, places.target(name, "shipper"))[1] >= 10
    assert ship_ledger(ledger, places.target(name, "shipper"))[1] == 0
    assert fetched(places.target(name, "reader"), ledger_id) == content(ledger)


def test_a_lost_answer_or_note_ships_again_and_nothing_is_left_out(places: Places, ledger: Path, name: str) -> None:
    ledger_id = write(ledger, 40)
    target = places.target(name, "shipper")
    target.max_lines = 15
    real, calls = type(target).put, []

    def fail_late(target: Target, *arguments: Any) -> None:  # noqa: ANN401 - put's own
        real(target, *arguments)
        calls.append(arguments)
        if len(calls) == 2:
            raise ShippingError("The answer was lost.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(target), "put", fail_late)
        with pytest.raises(ShippingError):
            ship_ledger(ledger, target)
        assert read_shipped_through(ledger) == 15
        write(ledger, 3)  # other batches than before
        ship_ledger(ledger, target)
    assert fetched(places.target(name, "reader"), ledger_id) == content(ledger)
    note_path(ledger).unlink()
    ship_ledger(ledger, places.target(name, "shipper"))
    assert fetched(places.target(name, "reader"), ledger_id) == content(ledger)


def test_the_shipper_may_only_put(places: Places, ledger: Path) -> None:
    ledger_id = write(ledger, 3)
    for name in TARGETS:
        ship_ledger(ledger, places.target(name, "shipper"))
        with pytest.raises(ShippingError, match="AccessDenied"):
            fetched(places.target(name, "shipper"), ledger_id)
    s3, logs = (places.client(name, "shipper") for name in TARGETS)
    page = places.client(TARGETS[0], "reader").list_objects_v2(Bucket=BUCKET, Prefix=f"dev/{ledger_id}/")
    key = page["Contents"][0]["Key"]
    stream = {"logGroupName": GROUP, "logStreamName": ledger_id}
    tries = (
        lambda: s3.get_object(Bucket=BUCKET, Key=key),
        lambda: s3.list_objects_v2(Bucket=BUCKET),
        lambda: s3.delete_object(Bucket=BUCKET, Key=key),
        lambda: s3.put_object(Bucket=BUCKET, Key="elsewhere", Body=b""),
        lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy="{}"),
        lambda: s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=LOCK),
        lambda: logs.get_log_events(**stream),
        lambda: logs.delete_log_stream(**stream),
        lambda: logs.delete_log_group(logGroupName=GROUP),
        lambda: logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1),
        lambda: logs.create_log_stream(logGroupName="/app/payments", logStreamName="x"),
    )
    for attempt in tries:
        with pytest.raises(ClientError) as denied:
            attempt()
        assert "AccessDenied" in denied.value.response["Error"]["Code"]


def test_content_that_changes_on_the_way_is_not_taken(places: Places, ledger: Path) -> None:
    ledger_id = write(ledger, 5)
    target = places.target(TARGETS[0], "shipper")

    def change(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's requests have no types
        request.data = request.body = b"x" * int(request.headers.get("Content-Length", 10))

    target.client.meta.events.register("before-send.s3.PutObject", change)
    with pytest.raises(ShippingError, match=r"BadDigest|XAmzContentSHA256Mismatch|SignatureDoesNotMatch"):
        ship_ledger(ledger, target)
    assert read_shipped_through(ledger) == 0
    ship_ledger(ledger, places.target(TARGETS[0], "shipper"))
    assert fetched(places.target(TARGETS[0], "reader"), ledger_id) == ledger.read_bytes()


def test_object_lock_keeps_a_shipped_version_from_its_bucket_s_owner(places: Places, ledger: Path) -> None:
    ledger_id = write(ledger, 3)
    ship_ledger(ledger, places.target(TARGETS[0], "shipper"))
    s3 = places.client(TARGETS[0], "operator")
    (version,) = s3.list_object_versions(Bucket=BUCKET, Prefix=f"dev/{ledger_id}/")["Versions"]
    with pytest.raises(ClientError, match="object lock"):
        s3.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
    # what somebody puts over it is no longer what its name tells
    s3.put_object(Bucket=BUCKET, Key=version["Key"], Body=b"forged\n")
    with pytest.raises(ShippedDiffersError):
        fetched(places.target(TARGETS[0], "reader"), ledger_id)


def test_a_ledger_that_is_not_what_was_shipped_is_not_shipped_on(places: Places, ledger: Path, name: str) -> None:
    write(ledger, 5)
    target = places.target(name, "shipper")
    ship_ledger(ledger, target)
    original = ledger.read_bytes()
    for harmed in (
        original.replace(b'"number":4', b'"number":5'),  # the last one that was shipped
        b"".join(original.splitlines(keepends=True)[:-1]),
        original + original.splitlines(keepends=True)[-1],
        original + b"no record\n",
    ):
        ledger.write_bytes(harmed)
        with pytest.raises(ShippedDiffersError):
            ship_ledger(ledger, target)
    ledger.unlink()
    write(ledger, 5)  # another ledger at its place
    with pytest.raises(ShippedDiffersError):
        ship_ledger(ledger, target)


def test_what_is_being_written_is_left_for_the_next_time(places: Places, ledger: Path, name: str) -> None:
    ledger_id = write(ledger, 5)
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + b'{"version":1,"seq":7,"prev":"')
    ship_ledger(ledger, places.target(name, "shipper"))
    assert fetched(places.target(name, "reader"), ledger_id) == whole


def test_records_that_were_shipped_may_go_and_come_back(places: Places, ledger: Path, name: str) -> None:
    ledger_id = write(ledger, 100)
    ship_ledger(ledger, places.target(name, "shipper"))
    with Ledger(ledger, Origin("dev", "triage"), max_bytes=10_000) as writer:
        assert len(writer.prune(dt.datetime(2999, 1, 1, tzinfo=dt.UTC), read_shipped_through(ledger))) >= 2
    ship_ledger(ledger, places.target(name, "shipper"))
    copy = ledger.with_name("fetched.jsonl")
    copy.write_bytes(fetched(places.target(name, "reader"), ledger_id))
    with copy.open("rb") as file:
        verdict = verify_parts([("fetched", file)], str(copy))
    assert verdict.problems == []
    assert verdict.first == 1
    assert verdict.records > 100


@pytest.fixture
def run(places: Places) -> Callable[..., subprocess.CompletedProcess[str]]:
    def narrowgate(who: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "narrowgate", "ledger", *arguments]
        return subprocess.run(
            command, env=places.environment(who), capture_output=True, text=True, check=False, timeout=60
        )

    return narrowgate


def test_the_commands_ship_fetch_compare_and_prune(
    run: Callable[..., subprocess.CompletedProcess[str]], ledger: Path, name: str
) -> None:
    ledger_id = write(ledger, 100)
    assert run("shipper", "prune", str(ledger), "--older-than", "0m").stdout == "nothing to remove\n"
    done = run("shipper", "ship", str(ledger), "--to", name)
    assert done.returncode == 0, done.stderr
    assert "records shipped" in done.stdout
    done = run("reader", "verify", str(ledger), "--chain-only", "--shipped", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removed" in run("shipper", "prune", str(ledger), "--older-than", "0m").stdout
    assert run("reader", "verify", str(ledger), "--chain-only", "--shipped", name).returncode == 0
    copy = str(ledger.with_name("fetched.jsonl"))
    done = run("reader", "fetch", ledger_id, "--from", name, "--output", copy)
    assert done.returncode == 0, done.stderr
    assert run("reader", "verify", copy, "--chain-only").returncode == 0
    assert run("reader", "fetch", ledger_id, "--from", name, "--output", copy).returncode == 2  # never overwritten
    # the whole chain written anew, on this machine: only what was shipped tells
    for part in list_parts(ledger):
        part.unlink()
    ledger.write_bytes(Path(copy).read_bytes().splitlines(keepends=True)[0])
    with Ledger(ledger, Origin("dev", "triage", "alice")) as writer:
        writer.record(Entry(kind="note"))
    assert run("reader", "verify", str(ledger), "--chain-only").returncode == 0
    done = run("reader", "verify", str(ledger), "--chain-only", "--shipped", name)
    assert done.returncode == 1
    assert "[shipped-differs]" in done.stdout
    assert run("shipper", "ship", str(ledger), "--to", name).returncode == 1
    for arguments in (
        ("ship", str(ledger), "--to", "ftp://somewhere"),
        ("ship", str(ledger.with_name("none")), "--to", name),
        ("verify", copy, "--chain-only", "--shipped", "s3://no-such-bucket-here/x"),
    ):
        done = run("shipper", *arguments)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
