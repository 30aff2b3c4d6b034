"""How long a trace over one million lines of log takes, and how much memory.

The targets are 10 seconds and 500 MiB. Printed, not asserted: a busy machine is no regression. One line in ten is of
the workflow that is asked for first; then one credential is traced by its access key.
"""

from __future__ import annotations

import datetime as dt
import json
import resource
import tempfile
import time
from pathlib import Path

from narrowgate.audit.trace import Question, Sources, build_trace, search

LINES = 1_000_000
TARGET_SECONDS, TARGET_MIB = 10, 500
SHARES = {"ledger": 0.1, "vault": 0.4, "cloudtrail": 0.5}
WORKFLOWS = 200
CALLS = 20
AGENT = (
    "Boto3/1.43.106 md/Botocore#1.43.106 ua/2.1 os/linux#6.18 md/arch#x86_64 lang/python#3.11.7 cfg/retry-mode#standard"
)


def write_sources(folder: Path) -> Sources:
    """Write one million lines of sound records, and return where they are."""
    paths = {name: folder / f"{name}.jsonl" for name in SHARES}
    for name, path in paths.items():
        with path.open("w") as file:
            for number in range(int(LINES * SHARES[name])):
                file.write(json.dumps(MAKERS[name](number), separators=(",", ":")) + "\n")
    return Sources((paths["ledger"],), (paths["vault"],), (paths["cloudtrail"],))


def _name(credential: int) -> tuple[str, str, str]:
    workflow = f"workflow-{credential % WORKFLOWS}"
    return workflow, f"narrowgate-aws/sts/{workflow}.logs/lease{credential:08d}", f"ASIA{credential:016d}"


def _moment(number: int) -> str:
    return (dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _make_ledger(number: int) -> dict[str, object]:
    workflow, lease, key = _name(number // CALLS)
    return {
        "version": 1,
        "seq": number + 1,
        "prev": "0" * 64,
        "kind": "call",
        "time": _moment(number),
        "environment": "dev",
        "workflow": workflow,
        "user": "alice",
        "tool": "logs",
        "action": "search",
        "operation": "logs:FilterLogEvents",
        "outcome": "allowed",
        "duration_ms": 31.5,
        "lease": {"id": lease, "access_key_id": key, "session": f"{workflow}.logs@agents-{workflow}-alice"},
        "requests": [f"request-{number}"],
        "inputs": {"logGroupName": "/app/payments"},
        "outputs": {"status": 200, "events": {"items": 5}},
    }


def _make_vault(number: int) -> dict[str, object]:
    workflow, lease, key = _name(number // 2)
    auth = {
        "client_token": "hmac-sha256:" + "0" * 64,
        "accessor": f"accessor{number // 2:08d}",
        "display_name": f"agents-{workflow}-alice",
        "policies": [f"agent.{workflow}", f"tool.{workflow}.logs"],
        "token_policies": [f"agent.{workflow}", f"tool.{workflow}.logs"],
        "entity_id": "067322a5-d3c8-bf6d-ebb0-e07f5f8004cc",
        "token_type": "service",
    }
    return {
        "time": _moment(number),
        "type": "response" if number % 2 else "request",
        "auth": auth,
        "request": {
            "id": f"id-{number}",
            "operation": "read",
            "mount_point": "narrowgate-aws/",
            "client_token_accessor": f"accessor{number // 2:08d}",
            "path": f"narrowgate-aws/sts/{workflow}.logs",
            "remote_address": "127.0.0.1",
        },
        "response": {
            "secret": {"lease_id": lease},
            "data": {"access_key": key, "arn": f"arn:aws:sts::111111111111:assumed-role/r/{workflow}.logs@alice"},
        },
    }


def _make_event(number: int) -> dict[str, object]:
    workflow, _, key = _name(number // CALLS)
    session, role = f"{workflow}.logs@agents-{workflow}-alice", f"ng-dev-{workflow}-logs-1e8a54fa"
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLE:{session}",
            "arn": f"arn:aws:sts::111111111111:assumed-role/{role}/{session}",
            "accountId": "111111111111",
            "accessKeyId": key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROAEXAMPLE",
                    "arn": f"arn:aws:iam::111111111111:role/narrowgate/dev/tool/{role}",
                    "accountId": "111111111111",
                    "userName": role,
                },
                "attributes": {"creationDate": _moment(number), "mfaAuthenticated": "false"},
            },
        },
        "eventTime": _moment(number),
        "eventSource": "logs.amazonaws.com",
        "eventName": "FilterLogEvents",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": AGENT,
        "requestParameters": {"logGroupName": "/app/payments"},
        "responseElements": None,
        "requestID": f"request-{number}",
        "eventID": f"event-{number}",
        "readOnly": True,
        "eventType": "AwsApiCall",
        "recipientAccountId": "111111111111",
    }


MAKERS = {"ledger": _make_ledger, "vault": _make_vault, "cloudtrail": _make_event}


def main() -> None:
    """Print the times beside their target."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        sources = write_sources(Path(folder))
        for question in (Question(workflow="workflow-7"), Question(id=_name(7)[2])):
            wall, core = time.perf_counter(), time.process_time()
            trace = build_trace(search(sources, question), dt.datetime.now(dt.UTC))
            wall, core = time.perf_counter() - wall, time.process_time() - core
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            asked = question.id or question.workflow
            print(
                f"{asked:<22} {LINES:,} lines, {trace.events:>6,} records: {wall:6.1f} s, {core:6.1f} s of one core"
                f" (target {TARGET_SECONDS})   {peak:6.0f} MiB (target {TARGET_MIB})"
            )


if __name__ == "__main__":
    main()
