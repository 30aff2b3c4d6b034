"""Checkpoints in the real Vault: an agent signs by its own workflow's key only, and no anchor is ever rewritten."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import hvac
import hvac.exceptions
import pytest

from narrowgate.audit import auditor
from narrowgate.compile.ledger import ANCHOR_MOUNT, SIGNING_MOUNT
from narrowgate.declarations import load_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

WORKFLOW, OTHER = "incident-summarization", "ticket-drafting"
INPUT = base64.b64encode(b"checkpoint").decode()


@pytest.fixture(scope="module")
def agent(rehearsal: LiveRehearsal) -> Iterator[tuple[hvac.Client, str]]:
    client = rehearsal.vault("")
    auth = client.auth.jwt.jwt_login(role="agent", jwt=rehearsal.token("alice", WORKFLOW), path=f"agents/{WORKFLOW}")[
        "auth"
    ]
    client.token = auth["client_token"]
    yield client, auth["entity_id"]
    for name in ("first", "kept"):  # else whoever verifies this agent's ledger would find anchors that fit nothing
        rehearsal.vault().delete(f"{ANCHOR_MOUNT}/metadata/{WORKFLOW}/{auth['entity_id']}/{name}")


def write(client: hvac.Client, path: str, data: dict[str, Any], cas: int | None = 0) -> None:
    client.write_data(path, data={"data": data, **({} if cas is None else {"options": {"cas": cas}})})


def test_an_agent_signs_by_its_own_key_only(agent: tuple[hvac.Client, str]) -> None:
    client, _ = agent
    answer = client.write_data(f"{SIGNING_MOUNT}/sign/{WORKFLOW}", data={"input": INPUT})
    assert answer["data"]["signature"].startswith("vault:v1:")
    for path in (f"{SIGNING_MOUNT}/sign/{OTHER}", f"{SIGNING_MOUNT}/keys/{WORKFLOW}/rotate"):
        with pytest.raises(hvac.exceptions.Forbidden):
            client.write_data(path, data={"input": INPUT})
    with pytest.raises(hvac.exceptions.Forbidden):
        client.read(f"{SIGNING_MOUNT}/export/signing-key/{WORKFLOW}")


def test_an_anchor_is_created_once_and_never_changed_read_or_deleted(agent: tuple[hvac.Client, str]) -> None:
    client, entity = agent
    folder = f"{ANCHOR_MOUNT}/data/{WORKFLOW}/{entity}"
    place = f"{folder}/first"
    write(client, place, {"head": "a"})
    for again in (0, 1, None):
        with pytest.raises((hvac.exceptions.Forbidden, hvac.exceptions.InvalidRequest)):
            write(client, place, {"head": "b"}, cas=again)
    tries = (
        lambda: client.read(place),
        lambda: client.delete(place),
        lambda: client.delete(place.replace("/data/", "/metadata/")),
        lambda: client.write_data(place.replace("/data/", "/destroy/"), data={"versions": [1]}),
        lambda: client.write_data(place.replace("/data/", "/metadata/"), data={"max_versions": 1}),
        lambda: client.list(folder.replace("/data/", "/metadata/")),
        lambda: write(client, f"{ANCHOR_MOUNT}/data/{WORKFLOW}/another-entity/first", {}),
        lambda: write(client, f"{ANCHOR_MOUNT}/data/{OTHER}/{entity}/first", {}),
        lambda: write(client, f"{folder}/deeper/first", {}),
        lambda: client.write_data(f"{ANCHOR_MOUNT}/config", data={"max_versions": 1}),
    )
    for attempt in tries:
        with pytest.raises(hvac.exceptions.Forbidden):
            attempt()


def test_what_was_anchored_is_what_an_auditor_reads(rehearsal: LiveRehearsal, agent: tuple[hvac.Client, str]) -> None:
    client, entity = agent
    write(client, f"{ANCHOR_MOUNT}/data/{WORKFLOW}/{entity}/kept", {"head": "a"})
    operator = rehearsal.vault()
    bindings = load_environment(rehearsal.layout.project, "dev")
    operator.sys.create_or_update_policy("auditor", auditor.vault_policy(bindings))
    token = operator.auth.token.create(policies=["auditor"], no_default_policy=True, no_parent=True)
    reader = rehearsal.vault(token["auth"]["client_token"])
    read = reader.read(f"{ANCHOR_MOUNT}/data/{WORKFLOW}/{entity}/kept")
    assert read["data"]["data"] == {"head": "a"}
    assert f"{entity}/" in reader.list(f"{ANCHOR_MOUNT}/metadata/{WORKFLOW}")["data"]["keys"]
    assert reader.read(f"{SIGNING_MOUNT}/keys/{WORKFLOW}")["data"]["type"] == "ed25519"
    for path in ("narrowgate-aws/sts/incident-summarization.logs", "narrowgate-database/creds/x"):
        with pytest.raises(hvac.exceptions.Forbidden):
            reader.read(path)
    with pytest.raises(hvac.exceptions.Forbidden):
        write(reader, f"{ANCHOR_MOUNT}/data/{WORKFLOW}/{entity}/forged", {})
