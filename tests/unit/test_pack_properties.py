"""What the pack reads of the properties that the engine packs: values, secrets, assets, and what is unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from narrowgate_policies import properties
from narrowgate_policies.properties import UNKNOWN, unpack
from pulumi_policy import deserialize, proxy

SIGNED = deserialize.SPECIAL_SIG_KEY


def packed(value: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"text": "a", "number": 1, "fraction": 0.5, "yes": True, "none": None},
        {"list": [1, "a", [True, None], {}], "object": {"deep": {"deeper": ["x"]}}},
    ],
)
def test_plain_values_come_out_as_they_went_in(value: dict[str, Any]) -> None:
    assert unpack(packed(value)) == value
    # Not 1.0 for 1, nor 1 for True, which are equal.
    assert json.dumps(unpack(packed(value)), sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("name", [name for name in vars(proxy) if name.startswith("UNKNOWN_")])
def test_every_unknown_of_the_sdk_is_unknown(name: str) -> None:
    text = getattr(proxy, name)
    given = {"at": text, "in": {"a": [text]}, "secret": {SIGNED: deserialize.SPECIAL_SECRET_SIG, "value": text}}
    assert unpack(packed(given)) == {"at": UNKNOWN, "in": {"a": [UNKNOWN]}, "secret": UNKNOWN}


def test_the_tables_are_the_sdks() -> None:
    unknowns = {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")}
    assert unknowns == properties.UNKNOWN_TEXTS
    assert deserialize.SPECIAL_SIG_KEY == properties.SIGNATURE
    assert deserialize.SPECIAL_SECRET_SIG == properties.SECRET
    assert {deserialize.SPECIAL_ASSET_SIG, deserialize.SPECIAL_ARCHIVE_SIG} == properties.ASSETS


def test_secrets_are_opened_and_assets_named() -> None:
    secret = {SIGNED: deserialize.SPECIAL_SECRET_SIG, "value": {"policy": "x"}}
    asset = {SIGNED: deserialize.SPECIAL_ASSET_SIG, "path": "function.py"}
    archive = {SIGNED: deserialize.SPECIAL_ARCHIVE_SIG, "assets": {"a": asset}}
    assert unpack(packed({"secret": secret, "archive": archive})) == {
        "secret": {"policy": "x"},
        "archive": {"assets": {"a": {"path": "function.py"}}},
    }


def test_a_kind_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        unpack(packed({"a": {SIGNED: "0" * 32}}))
