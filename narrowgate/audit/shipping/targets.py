"""The two places: an S3 bucket, and a log group of CloudWatch Logs. Each takes a batch, and gives back what arrived.

What was taken is checked by the service's own answer (S3's checksum, CloudWatch's rejected events), since the shipper
may not read. An S3 object is named after its records and content, and is created only: a second try changes nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from narrowgate.audit.shipping.batches import Line, parse_start
from narrowgate.audit.shipping.errors import ShippedDiffersError, ShippingError, TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.audit.shipping.batches import Batch

MILLISECONDS: Final = 1000
DAY_MILLISECONDS: Final = 24 * 60 * 60 * MILLISECONDS
_BUCKET: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")
_GROUP: Final = re.compile(r"logs:([A-Za-z0-9._/#-]{1,512})")
_TIME: Final = re.compile(rb'"time":"([0-9TZ:.-]{20,27})"')


class Target(Protocol):
    """Where records go. Every method raises ShippingError where AWS refuses or cannot be reached."""

    max_bytes: int
    max_lines: int
    overhead: int

    @property
    def name(self) -> str:
        """Return the target as it is written."""

    def put(self, ledger: str, workflow: str, batch: Batch) -> None:
        """Have `batch` kept; it may have been before."""

    def read(self, ledger: str) -> Iterator[Line]:
        """Yield all lines that arrived, perhaps several times and in no order; raise ShippedDiffersError."""

    def describe_policy(self, partition: str, region: str, account: str) -> dict[str, Any]:
        """Return the IAM policy of an identity that may only put."""


@dataclass(slots=True)
class S3Target:
    """Objects below a prefix; the bucket's default retention locks them, or `retain_days` each of them (COMPLIANCE)."""

    bucket: str
    prefix: str
    client: Any = None
    retain_days: int | None = None
    max_bytes: int = 8 * 1024 * 1024
    max_lines: int = 50_000
    overhead: int = 0

    @property
    def name(self) -> str:
        """Return the target as it is written."""
        return f"s3://{self.bucket}/{self.prefix}"

    def _client(self) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
        self.client = self.client or _connect("s3")
        return self.client

    def _folder(self, ledger: str) -> str:
        return f"{self.prefix}/{ledger}/" if self.prefix else f"{ledger}/"

    def put(self, ledger: str, workflow: str, batch: Batch) -> None:  # noqa: ARG002 - a log stream's name needs it
        """Create the batch's object, unless it is there; its name tells its content."""
        content = batch.content
        digest = hashlib.sha256(content).digest()
        checksum = base64.b64encode(digest).decode()
        span = f"{batch.lines[0].seq:012d}-{batch.lines[-1].seq:012d}"
        wanted: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": f"{self._folder(ledger)}{span}-{digest.hex()}.jsonl",
            "Body": content,
            "ChecksumSHA256": checksum,
            "ContentType": "application/jsonl",
            "IfNoneMatch": "*",
        }
        if self.retain_days is not None:
            until = dt.datetime.now(dt.UTC) + dt.timedelta(days=self.retain_days)
            wanted |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        try:
            answer = self._client().put_object(**wanted)
        except ClientError as error:
            if _code(error) in {"PreconditionFailed", "412"}:
                return  # it is there: an earlier try arrived
            raise ShippingError(f"S3 did not take records {span}: {_code(error)}.") from None
        except BotoCoreError as error:
            raise ShippingError(f"S3 cannot be reached: {type(error).__name__}.") from None
        # S3 refuses content that is not the checksum's, and repeats it; some that speak its protocol do not repeat it
        if answer.get("ChecksumSHA256", checksum) != checksum:
            raise ShippingError(f"S3 did not confirm the checksum of records {span}.")

    def read(self, ledger: str) -> Iterator[Line]:
        """Yield the lines of all objects of `ledger`; one whose content is not what its name tells is refused."""
        try:
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._folder(ledger)):
                for entry in page.get("Contents", ()):
                    body = self._client().get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
                    if not entry["Key"].endswith(f"-{hashlib.sha256(body).hexdigest()}.jsonl"):
                        raise ShippedDiffersError(f"{entry['Key']} is not what its name tells.")
                    for raw in body.splitlines(keepends=True):
                        yield parse_start(raw, entry["Key"])
        except ClientError as error:
            raise ShippingError(f"S3 did not give what was shipped: {_code(error)}.") from None
        except BotoCoreError as error:
            raise ShippingError(f"S3 cannot be reached: {type(error).__name__}.") from None

    def describe_policy(self, partition: str, region: str, account: str) -> dict[str, Any]:  # noqa: ARG002 - S3's ARNs have none
        """Return the IAM policy of an identity that may only put."""
        actions = ["s3:PutObject", *(["s3:PutObjectRetention"] if self.retain_days is not None else [])]
        folder = f"{self.prefix}/" if self.prefix else ""
        return _policy(actions, f"arn:{partition}:s3:::{self.bucket}/{folder}*")


@dataclass(slots=True)
class LogsTarget:
    """Log streams of one group, one for each ledger; nobody can change an event, and retention is the group's."""

    group: str
    client: Any = None
    max_bytes: int = 1_000_000
    max_lines: int = 10_000
    overhead: int = 26  # what CloudWatch Logs counts for each event

    @property
    def name(self) -> str:
        """Return the target as it is written."""
        return f"logs:{self.group}"

    def _client(self) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
        self.client = self.client or _connect("logs")
        return self.client

    def put(self, ledger: str, workflow: str, batch: Batch) -> None:  # noqa: ARG002 - read() must find it by the id
        """Append the batch's lines to the ledger's stream, in order of time, a day at most at once."""
        events: list[tuple[int, str]] = []
        latest = 0
        for line in batch.lines:
            latest = max(latest, _read_time(line.raw))
            events.append((latest, line.raw[:-1].decode("utf-8")))
        while events:
            day = [event for event in events if event[0] < events[0][0] + DAY_MILLISECONDS]
            self._put(ledger, [{"timestamp": when, "message": text} for when, text in day])
            events = events[len(day) :]

    def _put(self, ledger: str, events: list[dict[str, Any]]) -> None:
        wanted = {"logGroupName": self.group, "logStreamName": ledger}
        try:
            try:
                answer = self._client().put_log_events(**wanted, logEvents=events)
            except ClientError as error:
                if _code(error) != "ResourceNotFoundException":
                    raise
                self._client().create_log_stream(**wanted)
                answer = self._client().put_log_events(**wanted, logEvents=events)
        except ClientError as error:
            raise ShippingError(f"CloudWatch Logs did not take the records: {_code(error)}.") from None
        except BotoCoreError as error:
            raise ShippingError(f"CloudWatch Logs cannot be reached: {type(error).__name__}.") from None
        if answer.get("rejectedLogEventsInfo"):
            raise ShippingError(
                "CloudWatch Logs refused records, too old or too new for it.",
                hint="It takes records of the last 14 days; ship older ones to S3.",
            )

    def read(self, ledger: str) -> Iterator[Line]:
        """Yield the lines of the ledger's stream."""
        wanted = {"logGroupName": self.group, "logStreamName": ledger, "startFromHead": True}
        token = None
        try:
            while True:
                page = self._client().get_log_events(**wanted, **({"nextToken": token} if token else {}))
                for event in page["events"]:
                    yield parse_start(event["message"].encode() + b"\n", self.name)
                if page["nextForwardToken"] == token:
                    return
                token = page["nextForwardToken"]
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                return
            raise ShippingError(f"CloudWatch Logs did not give what was shipped: {_code(error)}.") from None
        except BotoCoreError as error:
            raise ShippingError(f"CloudWatch Logs cannot be reached: {type(error).__name__}.") from None

    def describe_policy(self, partition: str, region: str, account: str) -> dict[str, Any]:
        """Return the IAM policy of an identity that may only put."""
        group = f"arn:{partition}:logs:{region}:{account}:log-group:{self.group}"
        # IAM asks about a log group with and without the trailing part, depending on the call
        return _policy(["logs:CreateLogStream", "logs:PutLogEvents"], group, f"{group}:*")


def parse_target(text: str, *, retain_days: int | None = None) -> S3Target | LogsTarget:
    """Return the target that `text` names: `s3://BUCKET/PREFIX`, or `logs:GROUP`. Raises TargetError."""
    bucket, group = _BUCKET.fullmatch(text), _GROUP.fullmatch(text)
    if bucket is not None:
        return S3Target(bucket[1], (bucket[2] or "").strip("/"), retain_days=retain_days)
    if group is not None and retain_days is None:
        return LogsTarget(group[1])
    if group is not None:
        raise TargetError("CloudWatch Logs locks no record.", hint="Set the log group's retention.")
    raise TargetError(f"{text[:80]!r} is no place to ship to.")


def _connect(service: Literal["s3", "logs"]) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
    import boto3
    from botocore.config import Config

    try:
        session: Any = boto3.Session()
        return session.client(service, config=Config(retries={"mode": "standard", "max_attempts": 5}))
    except BotoCoreError as error:
        raise ShippingError(f"There is no client of AWS: {error}") from None


def _policy(actions: list[str], *resources: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _read_time(raw: bytes) -> int:
    """Return a record's time in milliseconds since 1970."""
    match = _TIME.search(raw)
    if match is None:
        raise ShippedDiffersError("A record has no time.")
    try:
        when = dt.datetime.fromisoformat(match[1].decode())
    except ValueError:
        raise ShippedDiffersError("A record has no time.") from None
    return int(when.timestamp() * MILLISECONDS)
