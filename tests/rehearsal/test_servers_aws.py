from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from narrowgate.declarations import load_environment
from rehearsal import aws, bao
from rehearsal.layout import CHECKOUT
from rehearsal.seed.aws_data import DOCUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

DEV = load_environment(CHECKOUT / "stacks", "dev")
ACCOUNT = DEV.aws.account
BUCKET = str(DEV.binding("documents").get("bucket"))
ROLE = "ng-dev-probe-logs"
ROLE_PATH = "/narrowgate/dev/tool/"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role{ROLE_PATH}{ROLE}"
DENIED = {"AccessDenied", "AccessDeniedException"}


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = error.value.response["Error"]["Code"]
    return code


def read_events(servers: LiveRehearsal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in servers.layout.cloudtrail.read_text().splitlines()]


def make_role(servers: LiveRehearsal, name: str, path: str) -> None:
    broker = f"arn:aws:iam::{ACCOUNT}:user/narrowgate/dev/broker"
    trust = {"Effect": "Allow", "Principal": {"AWS": broker}, "Action": "sts:AssumeRole"}
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/runbooks/*"}
    iam = servers.aws("iam")
    iam.create_role(
        RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    iam.put_role_policy(
        RoleName=name, PolicyName="read", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )


@pytest.fixture
def tool_role(servers: LiveRehearsal) -> Iterator[str]:
    make_role(servers, ROLE, ROLE_PATH)
    yield ROLE_ARN
    servers.aws("iam").delete_role_policy(RoleName=ROLE, PolicyName="read")
    servers.aws("iam").delete_role(RoleName=ROLE)


def broker_key(servers: LiveRehearsal) -> aws.AccessKey:
    key = aws.read_key(aws.broker(servers.layout))
    assert key is not None
    return key


@pytest.mark.parametrize("key", ["test", "111111111111", "000000000000", "222222222222"])
@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("iam", "list_users", {}),
        ("sts", "get_caller_identity", {}),
        ("s3", "list_buckets", {}),
        ("logs", "describe_log_groups", {}),
    ],
)
def test_root_like_keys_are_refused(
    servers: LiveRehearsal, key: str, service: str, call: str, arguments: dict[str, Any]
) -> None:
    client = servers.aws(service, aws.AccessKey(key, "test"))
    with pytest.raises(ClientError) as caught:
        getattr(client, call)(**arguments)
    assert code_of(caught) == "InvalidClientTokenId"


def test_unsigned_requests_are_refused(servers: LiveRehearsal) -> None:
    client = boto3.client(
        "s3",
        region_name=servers.region,
        endpoint_url=aws.get_endpoint(servers.layout),
        config=Config(signature_version=UNSIGNED, proxies={}),
    )
    with pytest.raises(ClientError) as caught:
        client.get_object(Bucket=BUCKET, Key=next(iter(DOCUMENTS)))
    assert code_of(caught) == "MissingAuthenticationToken"


def test_root_like_key_in_a_presigned_url_is_refused(servers: LiveRehearsal) -> None:
    client = servers.aws("s3", aws.AccessKey(ACCOUNT, "test"))
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": next(iter(DOCUMENTS))})
    assert requests.get(url, timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/health"),
        ("GET", "/_localstack/health"),
        ("GET", "/_aws/anything"),
        ("GET", "/health"),
    ],
)
def test_admin_paths_are_refused_to_everybody_but_the_operator(servers: LiveRehearsal, method: str, path: str) -> None:
    url = aws.get_endpoint(servers.layout) + path
    for headers in ({}, {"x-narrowgate-operator": "guessed"}, {"x-narrowgate-operator": ""}):
        assert requests.request(method, url, headers=headers, timeout=5).status_code == 403
    assert aws.is_ready(servers.layout)
    assert servers.aws("s3").head_bucket(Bucket=BUCKET)


def test_wrong_secret_is_refused_and_not_attributed(servers: LiveRehearsal) -> None:
    key = aws.AccessKey(aws.read_operator_key(servers.layout).id, "wrong")
    with pytest.raises(ClientError) as caught:
        servers.aws("iam", key).list_users()
    assert code_of(caught) == "SignatureDoesNotMatch"
    last = read_events(servers)[-1]
    assert last["errorCode"] == "SignatureDoesNotMatch"
    assert last["userIdentity"] == {"type": "Unknown", "accessKeyId": key.id}


def test_other_names_for_this_machine_are_refused(servers: LiveRehearsal) -> None:
    answer = requests.get(aws.get_endpoint(servers.layout), headers={"host": "evil.example"}, timeout=5)
    assert answer.status_code == 403


def test_services_outside_the_rehearsal_are_refused(servers: LiveRehearsal) -> None:
    with pytest.raises(ClientError) as caught:
        servers.aws("lambda").list_functions()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_broker_may_only_assume_tool_roles(servers: LiveRehearsal, tool_role: str) -> None:
    key = broker_key(servers)
    assert servers.aws("sts", key).assume_role(RoleArn=tool_role, RoleSessionName="probe")["Credentials"]
    make_role(servers, "ng-dev-elsewhere", "/narrowgate/dev/gated/")
    gated = f"arn:aws:iam::{ACCOUNT}:role/narrowgate/dev/gated/ng-dev-elsewhere"
    refused = (
        lambda: servers.aws("sts", key).assume_role(RoleArn=gated, RoleSessionName="probe"),
        lambda: servers.aws("iam", key).list_users(),
        lambda: servers.aws("iam", key).create_access_key(UserName="broker"),
        lambda: servers.aws("s3", key).get_object(Bucket=BUCKET, Key=next(iter(DOCUMENTS))),
        lambda: servers.aws("logs", key).describe_log_groups(),
    )
    for call in refused:
        with pytest.raises(ClientError) as caught:
            call()
        assert code_of(caught) in DENIED
    servers.aws("iam").delete_role_policy(RoleName="ng-dev-elsewhere", PolicyName="read")
    servers.aws("iam").delete_role(RoleName="ng-dev-elsewhere")


def test_every_call_is_recorded_with_its_session_and_decision(servers: LiveRehearsal, tool_role: str) -> None:
    before = len(read_events(servers))
    answer = servers.aws("sts", broker_key(servers)).assume_role(RoleArn=tool_role, RoleSessionName="logs@alice")
    made = answer["Credentials"]
    session = boto3.Session(
        made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], region_name=servers.region
    )
    s3 = session.client("s3", endpoint_url=aws.get_endpoint(servers.layout), config=Config(proxies={}))
    s3.get_object(Bucket=BUCKET, Key="runbooks/refund-queue.md")
    with pytest.raises(ClientError):
        s3.get_object(Bucket=BUCKET, Key="finance/payroll-2026-11.csv")
    assumed, allowed, denied = read_events(servers)[before:]
    assert assumed["eventName"] == "AssumeRole"
    assert assumed["requestParameters"] == {"roleArn": tool_role, "roleSessionName": "logs@alice"}
    assert assumed["responseElements"]["credentials"]["accessKeyId"] == made["AccessKeyId"]
    for event in (allowed, denied):
        identity = event["userIdentity"]
        assert identity["type"] == "AssumedRole"
        assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/logs@alice"
        assert identity["accessKeyId"] == made["AccessKeyId"]
        assert identity["sessionContext"]["sessionIssuer"]["arn"] == tool_role
        assert event["eventName"] == "GetObject"
        assert event["additionalEventData"] == {"emulated": True}
    assert "errorCode" not in allowed
    assert denied["errorCode"] == "AccessDenied"
    assert denied["requestParameters"] == {"bucketName": BUCKET, "key": "finance/payroll-2026-11.csv"}
    text = servers.layout.cloudtrail.read_text()
    for secret in (made["SecretAccessKey"], made["SessionToken"], broker_key(servers).secret):
        assert secret not in text


def test_killed_emulator_keeps_its_account(servers: LiveRehearsal, tool_role: str) -> None:
    key = aws.read_operator_key(servers.layout)
    servers.aws("s3").put_object(Bucket=BUCKET, Key="runbooks/new.md", Body=b"new")
    # What is persisted must be on disk shortly after; waiting for the file is what a person could do too
    state = servers.layout.aws / "state" / "iam.json"
    wait_for(lambda: all(written in state.read_text() for written in (ROLE, '"read"')))
    process = servers.process(aws.NAME)
    assert process is not None
    process.kill()
    process.wait(10)
    assert aws.start_aws(servers.layout)
    assert aws.seed(servers.layout) == aws.Seeding(empty=False, broker_changed=False)
    assert aws.read_operator_key(servers.layout) == key
    assert servers.aws("iam").get_role(RoleName=ROLE)["Role"]["Arn"] == tool_role
    assert servers.aws("s3").get_object(Bucket=BUCKET, Key="runbooks/new.md")["Body"].read() == b"new"
    servers.aws("s3").delete_object(Bucket=BUCKET, Key="runbooks/new.md")


def wait_for(condition: Any) -> None:  # noqa: ANN401 - any callable
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_emulator_that_lost_its_state_is_seeded_anew_and_vault_takes_the_new_key(servers: LiveRehearsal) -> None:
    old = broker_key(servers)
    servers.stop(aws.NAME)
    shutil.rmtree(servers.layout.aws / "state")
    shutil.rmtree(servers.layout.aws / "objects")
    assert aws.start_aws(servers.layout)
    assert aws.seed(servers.layout) == aws.Seeding(empty=True, broker_changed=True)
    assert broker_key(servers) != old
    assert aws.seed(servers.layout) == aws.Seeding(empty=False, broker_changed=False)


def test_vaults_plugin_uses_the_brokers_file_and_takes_a_new_key_on_reload(
    servers: LiveRehearsal, tool_role: str
) -> None:
    vault = servers.vault()
    vault.sys.enable_secrets_engine(bao.PLUGIN_TYPE, path="probe-aws")
    endpoint = aws.get_endpoint(servers.layout)
    settings = {
        "region": servers.region,
        "sts_region": servers.region,
        "sts_endpoint": endpoint,
        "iam_endpoint": endpoint,
    }
    vault.write_data("probe-aws/config/root", data=settings)
    vault.write_data("probe-aws/roles/probe", data={"credential_type": "assumed_role", "role_arns": [tool_role]})
    try:
        assert vault.read("probe-aws/config/root")["data"]["access_key"] == ""
        assert vault.write_data("probe-aws/sts/probe", data={})["data"]["access_key"].startswith("ASIA")
        assert read_events(servers)[-1]["userIdentity"]["accessKeyId"] == broker_key(servers).id
        lose_broker_key(servers)
        assert aws.seed(servers.layout).broker_changed
        bao.reload_aws_plugin(vault)
        assert vault.write_data("probe-aws/sts/probe", data={})["data"]["access_key"].startswith("ASIA")
        assert read_events(servers)[-1]["userIdentity"]["accessKeyId"] == broker_key(servers).id
    finally:
        vault.sys.disable_secrets_engine("probe-aws")


def lose_broker_key(servers: LiveRehearsal) -> None:
    servers.aws("iam").delete_access_key(UserName="broker", AccessKeyId=broker_key(servers).id)
