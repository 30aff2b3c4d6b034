"""A gated call of AWS as it is deployed: proposed by an agent, approved by a person, made once by the executor."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from gate_bench import WORKFLOW

from narrowgate.approvals import State, VaultRefusedError
from narrowgate.approvals.canary import prove_gate
from narrowgate.approvals.errors import BadRequestError
from narrowgate.approvals.executor import Executor
from narrowgate.audit.trace import Question, Source, Sources, build_trace, search
from narrowgate.compile import names
from narrowgate.runtime import login
from rehearsal import aws, bao

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench

GATED = f"narrowgate-aws-gated/sts/{WORKFLOW}.documents.delete"
READER = f"narrowgate-aws/sts/executor.documents.{WORKFLOW}.delete"


@pytest.fixture
def executor(bench: GateBench, tmp_path: Path) -> Iterator[Executor]:
    source = lambda: bench.sign("executor:documents", "executors:documents")  # noqa: E731 - read at each login
    made = Executor(bench.gate, "documents", source, verify=bench.verify, ledger=tmp_path / "executor.jsonl")
    yield made
    made.log_out()


def put(bench: GateBench, key: str) -> str:
    bench.live.aws("s3").put_object(Bucket=bench.live.bucket, Key=key, Body=b"an old paper")
    return key


def exists(bench: GateBench, key: str) -> bool:
    found = bench.live.aws("s3").list_objects_v2(Bucket=bench.live.bucket, Prefix=key)
    return key in {item["Key"] for item in found.get("Contents", [])}


def propose(bench: GateBench, key: str) -> str:
    with login(bench.live.manifest(WORKFLOW), bench.agent_token()) as agent:
        return agent.propose("documents.delete", inputs={"key": key}, rationale="A newer paper is there.")


def held(bench: GateBench, request: str) -> dict[str, str]:
    key = request.partition(".")[2]
    return dict(bench.root.read(f"narrowgate-held/data/{WORKFLOW}/documents/{key}")["data"]["data"])


def calls(bench: GateBench, key: str) -> list[dict[str, Any]]:
    """Return the records of AWS's own log about deleting a document."""
    records = [json.loads(line) for line in bench.live.layout.cloudtrail.read_text().splitlines()]
    return [r for r in records if r["eventName"] == "DeleteObject" and key in json.dumps(r)]


def client(bench: GateBench, data: dict[str, Any]) -> Any:  # noqa: ANN401 - botocore makes clients at run time
    key = aws.AccessKey(data["access_key"], data["secret_key"], data.get("security_token") or data["session_token"])
    return aws.open_client(bench.live.layout, "s3", key)


def test_what_was_approved_is_called_once_and_traced_to_who_asked_and_who_approved(
    bench: GateBench, executor: Executor, tmp_path: Path
) -> None:
    key = put(bench, "vendors/outdated.txt")
    etag = bench.live.aws("s3").head_object(Bucket=bench.live.bucket, Key=key)["ETag"]
    request = propose(bench, key)
    executor.work()
    with bench.approver("ann") as ann:
        view = ann.read_case(request)
        shown = {change.what: (change.before, change.after) for change in view.case.changes}
        assert shown == {"bytes": (12, None), "etag": (etag, None)}
        assert view.case.calls["arguments"] == {"Bucket": bench.live.bucket, "Key": key}
    executor.work()
    assert exists(bench, key)
    assert calls(bench, key) == []
    wrapping = held(bench, request)["wrapping"]
    with pytest.raises((BadRequestError, VaultRefusedError)):
        bench.connect().ask("post", "sys/wrapping/unwrap", {}, token=wrapping)
    bench.approve("ann", request)
    executor.work()
    assert not exists(bench, key)
    outcome = bench.outcome(request)
    assert outcome is not None
    assert (outcome.state, outcome.verified) == (State.EXECUTED, True)
    (record,) = calls(bench, key)
    role = names.gated_iam_name("dev", WORKFLOW, "documents", "delete", "gated")
    assert f"/{role}/{WORKFLOW}.documents.delete@" in record["userIdentity"]["arn"]
    with pytest.raises((BadRequestError, VaultRefusedError)):
        bench.connect().ask("post", "sys/wrapping/unwrap", {}, token=wrapping)
    executor.work()
    assert len(calls(bench, key)) == 1
    _check_trace(bench, tmp_path / "executor.jsonl", request)


def _check_trace(bench: GateBench, ledger: Path, request: str) -> None:
    sources = Sources((ledger,), (bao.audit_file(bench.live.layout),), (bench.live.layout.cloudtrail,))
    answer = build_trace(search(sources, Question(id=request)), dt.datetime.now(dt.UTC))
    (proposal,) = answer.proposals
    assert (proposal.user, f"{proposal.tool}.{proposal.action}") == ("vera", "documents.delete")
    assert proposal.approvers == ("ann (Papers checked.)",)
    (credential,) = proposal.credentials
    assert credential.sources == set(Source)
    assert [call.event.operation for call in credential.calls] == ["s3:DeleteObject"]
    assert answer.findings == []


def test_nothing_is_called_without_an_approval_or_after_a_denial(bench: GateBench, executor: Executor) -> None:
    key = put(bench, "vendors/kept.txt")
    request = propose(bench, key)
    executor.work()
    bench.deny("ann", request)
    executor.work()
    outcome = bench.outcome(request)
    assert outcome is not None
    assert outcome.state is State.DENIED
    assert exists(bench, key)
    assert calls(bench, key) == []


def test_a_document_outside_the_workflows_scope_can_not_even_be_looked_at(bench: GateBench, executor: Executor) -> None:
    key = put(bench, "runbooks/not-a-vendors.txt")
    request = propose(bench, key)
    executor.work()
    assert bench.record(request)["state"] == State.REFUSED.value
    assert exists(bench, key)


def test_nobodys_own_login_reaches_the_gated_session(bench: GateBench, executor: Executor) -> None:
    agent, _ = bench.agent()
    executor.log_in()
    with bench.approver("ann") as ann:
        for vault in (agent, executor.vault, ann.vault):
            with pytest.raises(VaultRefusedError):
                vault.ask("get", GATED, query={"digest": "x"})
            with pytest.raises(VaultRefusedError):
                vault.ask("get", GATED)
    with pytest.raises(VaultRefusedError):
        agent.ask("get", READER)


def test_the_executors_own_session_reads_what_the_action_is_about_and_nothing_else(
    bench: GateBench, executor: Executor
) -> None:
    executor.log_in()
    reads = client(bench, executor.vault.ask("get", READER)["data"])
    key, bucket = put(bench, "vendors/read-only.txt"), bench.live.bucket
    assert reads.head_object(Bucket=bucket, Key=key)["ContentLength"] == 12
    refused = (
        lambda: reads.delete_object(Bucket=bucket, Key=key),
        lambda: reads.put_object(Bucket=bucket, Key=key, Body=b""),
        lambda: reads.list_objects_v2(Bucket=bucket),
        lambda: reads.get_object(Bucket=bucket, Key="runbooks/payments-timeouts.md"),
    )
    for call in refused:
        with pytest.raises(ClientError, match=r"AccessDenied|403|Forbidden"):
            call()


def test_each_broker_assumes_its_own_roles_only(bench: GateBench) -> None:
    layout = bench.live.layout
    gated, broker = aws.gated_broker(layout), aws.broker(layout)
    assert gated is not None
    paths = {"tool": "reads", "gated": "gated"}
    for person, kind in ((broker, "gated"), (gated, "tool")):
        key = aws.read_key(person)
        assert key is not None
        name = names.gated_iam_name("dev", WORKFLOW, "documents", "delete", paths[kind])
        session = f"{WORKFLOW}.documents.delete@x" if kind == "gated" else f"executor.documents.{WORKFLOW}.delete@x"
        with pytest.raises(ClientError, match="AccessDenied"):
            aws.open_client(layout, "sts", key).assume_role(
                RoleArn=f"arn:aws:iam::{bench.live.account}:role/narrowgate/dev/{kind}/{name}",
                RoleSessionName=session,
                ExternalId="narrowgate-dev",
            )


def test_the_canary_proves_that_the_gated_session_is_held_back(executor: Executor) -> None:
    assert prove_gate(executor) == 1
