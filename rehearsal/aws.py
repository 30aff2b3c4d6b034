"""Emulated AWS: starts the emulator behind its layer, and puts in each account what a company would already have.

That is: an operator with an access key, Vault's broker, log groups with events, a bucket with documents. Tool roles and
their policies are Pulumi's to make. AWS is emulated here (MiniStack): IAM is enforced, but it is not AWS.
"""

from __future__ import annotations

import configparser
import contextlib
import functools
import io
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.session
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from narrowgate.compile import names
from rehearsal.aws_layer import OPERATOR_HEADER, RECORD_VARIABLE, SECRET_VARIABLE, SERVED
from rehearsal.aws_web_identity import ISSUERS_VARIABLE
from rehearsal.ci_tokens import write_issuers
from rehearsal.environments import account, describe, find_bucket
from rehearsal.errors import NotRunningError, RehearsalError
from rehearsal.processes import base_environment, find, start, wait_until
from rehearsal.seed.aws_data import DOCUMENTS, LOG_EVENTS
from rehearsal.state import LOOPBACK, choose_port, get_port, make_folder, read_secret, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rehearsal.layout import EnvironmentLayout, Layout

NAME = "aws"
EMULATOR_REGION = "eu-central-1"  # Where a client names none
START_SECONDS = 60.0
HEALTH_PATH = "/_ministack/health"
LOG_STREAM = "production"
HEALTH_SECONDS = 5.0
_MAKING_CLIENTS = threading.Lock()  # A session may not make two at once; clients may be used so
HTTP_OK = 200
CLIENT_CONFIG = Config(proxies={}, connect_timeout=5, read_timeout=30, retries={"mode": "standard"})
NO_USER_SETTINGS = {
    name: (None, None, value, None)
    for name, value in {
        "profile": None,
        "config_file": os.devnull,
        "credentials_file": os.devnull,
        "ca_bundle": None,
    }.items()
}
ADMIN_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An IAM user's access key, or a session's, which has a `session` token too."""

    id: str
    secret: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """An IAM user that exists before any deploy: `name`, `path`, its one inline `policy`, its credentials `file`."""

    name: str
    path: str
    policy: Mapping[str, Any]
    file: Path


@dataclass(frozen=True, slots=True)
class Seeding:
    """What seeding found: whether the account was `empty`, and whether the broker got a new key."""

    empty: bool
    broker_changed: bool


def get_endpoint(layout: Layout) -> str:
    """Return the URL of the emulated AWS."""
    return f"http://{LOOPBACK}:{get_port(layout, NAME)}"


def start_aws(layout: Layout) -> bool:
    """Start the emulator unless it runs, wait until it answers, and return whether it was started now.

    Raises:
        RehearsalError: it did not answer within a minute.

    """
    process = find(layout, NAME)
    started = process is None
    if process is None:
        make_folder(layout.aws)
        port = choose_port(layout, NAME)
        command = [sys.executable, "-I", "-m", "rehearsal.aws_layer", str(port)]
        process = start(layout, NAME, command, _environment(layout, port))
    wait_until(layout, NAME, process, lambda: is_ready(layout), seconds=START_SECONDS)
    return started


def _secret_file(layout: Layout) -> Path:
    return layout.aws / "operator-secret"


def _environment(layout: Layout, port: int) -> dict[str, str]:
    """Return the emulator's settings. It reads them on import, and gets nothing of the caller's own AWS settings."""
    read_secret(_secret_file(layout))
    return {
        **base_environment(layout),
        "AUTH": "true",
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": EMULATOR_REGION,
        "SERVICES": ",".join(sorted(SERVED)),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(make_folder(layout.aws / "state")),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(make_folder(layout.aws / "objects")),
        "TMPDIR": str(make_folder(layout.aws / "tmp")),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # It must not touch this machine's containers
        "LOG_LEVEL": "WARNING",
        SECRET_VARIABLE: str(_secret_file(layout)),
        RECORD_VARIABLE: str(layout.cloudtrail),
        ISSUERS_VARIABLE: str(write_issuers(layout)),
    }


def is_ready(layout: Layout) -> bool:
    """Return whether the emulator answers the operator."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                get_endpoint(layout) + HEALTH_PATH, headers=_operator_header(layout), timeout=HEALTH_SECONDS
            )
    except requests.RequestException:
        return False
    return answer.status_code == HTTP_OK


def _operator_header(layout: Layout) -> dict[str, str]:
    return {OPERATOR_HEADER: read_secret(_secret_file(layout))}


@functools.cache
def _open_botocore() -> botocore.session.Session:
    """Return a botocore session that knows none of the user's own settings; it is shared, to load models once."""
    return botocore.session.Session(session_vars=NO_USER_SETTINGS)


def open_client(layout: EnvironmentLayout, service: str, key: AccessKey) -> Any:  # noqa: ANN401 - botocore makes clients at run time
    """Return a client of `service` that carries `key`, untouched by the caller's own AWS settings."""
    with _MAKING_CLIENTS:
        return _open_botocore().create_client(
            service,
            region_name=describe(layout).aws.region,
            endpoint_url=get_endpoint(layout),
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            aws_session_token=key.session,
            config=CLIENT_CONFIG,
        )


def _open_root_client(layout: EnvironmentLayout, service: str) -> Any:  # noqa: ANN401 - as above
    """Return a client that acts as the account's root: only here, only to make the operator and the broker."""
    client = open_client(layout, service, AccessKey(account(layout), "unused"))
    header = _operator_header(layout)
    client.meta.events.register("before-send.*", lambda request, **_: request.headers.update(header))
    return client


def operator(layout: EnvironmentLayout) -> Person:
    """Return the platform's engineer, who may do anything in this account."""
    return Person("operator", "/narrowgate/rehearsal/", ADMIN_POLICY, layout.operator_credentials)


def broker(layout: EnvironmentLayout) -> Person:
    """Return Vault's broker, who may only assume tool roles of its environment."""
    return _broker(layout, describe(layout).aws.broker_arn, "tool", layout.broker_credentials)


def gated_broker(layout: EnvironmentLayout) -> Person | None:
    """Return Vault's other broker, who may only assume gated roles of its environment; None where none is bound."""
    arn = describe(layout).aws.gated_broker_arn
    return _broker(layout, arn, "gated", layout.gated_broker_credentials) if arn else None


def _broker(layout: EnvironmentLayout, arn: str, kind: str, file: Path) -> Person:
    _, _, path_and_name = arn.partition(":user")
    path, _, name = path_and_name.rpartition("/")
    statement = {
        "Sid": f"Assume{kind.capitalize()}Roles",
        "Effect": "Allow",
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Resource": f"arn:aws:iam::{account(layout)}:role/narrowgate/{layout.environment}/{kind}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return Person(name, f"{path}/", policy, file)


def on_call(layout: EnvironmentLayout) -> Person | None:
    """Return the people who may become the operator that stops workflows, as one user; None where none is bound."""
    binding = describe(layout).operator
    if binding is None:
        return None
    _, _, path_and_name = binding.aws_principal.partition(":user")
    path, _, name = path_and_name.rpartition("/")
    role = names.system_role_name(layout.environment, names.OPERATOR)
    statement = {
        "Sid": "BecomeTheOperator",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Resource": f"arn:aws:iam::{account(layout)}:role/narrowgate/{layout.environment}/system/{role}",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return Person(name, f"{path}/", policy, layout.on_call_credentials)


def read_key(person: Person) -> AccessKey | None:
    """Return the access key in `person`'s credentials file, or None where there is none."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(person.file.read_text())
        return AccessKey(parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"])
    except (FileNotFoundError, KeyError, configparser.Error):
        return None


def read_operator_key(layout: EnvironmentLayout) -> AccessKey:
    """Return the operator's access key.

    Raises:
        NotRunningError: the account was never seeded.

    """
    key = read_key(operator(layout))
    if key is None:
        raise NotRunningError(f"the emulated AWS account of {layout.environment} has no operator yet")
    return key


def seed(layout: EnvironmentLayout) -> Seeding:
    """Make whatever of the account's people, logs and documents is missing, and say what was.

    Raises:
        RehearsalError: the emulator refused it.

    """
    try:
        make_folder(layout.credentials)
        iam = _open_root_client(layout, "iam")
        empty = _ensure_person(layout, iam, operator(layout))
        broker_changed = _ensure_person(layout, iam, broker(layout))
        for person in (gated_broker(layout), on_call(layout)):
            if person is not None:
                _ensure_person(layout, iam, person)
        key = read_operator_key(layout)
        _seed_logs(open_client(layout, "logs", key))
        _seed_documents(open_client(layout, "s3", key), find_bucket(layout), describe(layout).aws.region)
    except (ClientError, BotoCoreError) as error:
        raise RehearsalError(f"the emulated AWS refused its set-up: {error}", log=layout.log(NAME)) from error
    return Seeding(empty, broker_changed)


def _ensure_person(layout: EnvironmentLayout, iam: Any, person: Person) -> bool:  # noqa: ANN401 - as above
    """Make `person` and a working access key in their file; return whether the key is a new one."""
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=person.name, Path=person.path)
    iam.put_user_policy(UserName=person.name, PolicyName=person.name, PolicyDocument=json.dumps(person.policy))
    if _works(layout, read_key(person), f"arn:aws:iam::{account(layout)}:user{person.path}{person.name}"):
        return False
    for old in iam.list_access_keys(UserName=person.name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=person.name, AccessKeyId=old["AccessKeyId"])
    made = iam.create_access_key(UserName=person.name)["AccessKey"]
    _write_key(person, AccessKey(made["AccessKeyId"], made["SecretAccessKey"]))
    return True


def _works(layout: EnvironmentLayout, key: AccessKey | None, arn: str) -> bool:
    """Return whether `key` is accepted and belongs to `arn`."""
    if key is None:
        return False
    try:
        return bool(open_client(layout, "sts", key).get_caller_identity()["Arn"] == arn)
    except ClientError:
        return False


def _write_key(person: Person, key: AccessKey) -> None:
    parser = configparser.ConfigParser()
    parser["default"] = {"aws_access_key_id": key.id, "aws_secret_access_key": key.secret}
    text = io.StringIO()
    parser.write(text)
    write_private(person.file, text.getvalue())


def _seed_logs(logs: Any) -> None:  # noqa: ANN401 - as above
    """Make the log groups that are missing, with their events just before now."""
    existing = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    now = int(time.time() * 1000)
    for group, events in LOG_EVENTS.items():
        if group in existing:
            continue
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=LOG_STREAM)
        entries = [{"timestamp": now - age * 60_000, "message": message} for age, message in events]
        logs.put_log_events(logGroupName=group, logStreamName=LOG_STREAM, logEvents=entries)


def _seed_documents(s3: Any, bucket: str, region: str) -> None:  # noqa: ANN401 - as above
    """Make the bucket and the documents that are missing."""
    if bucket not in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    existing = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
    for key, text in DOCUMENTS.items():
        if key not in existing:
            s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="text/plain; charset=utf-8")
