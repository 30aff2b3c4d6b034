"""The tables of the doubles against the real SDK classes: a property that the SDK does not have is our mistake."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING

import pytest

from rehearsal.doubles.aws.package import PACKAGE as AWS
from rehearsal.doubles.vault.package import PACKAGE as VAULT

if TYPE_CHECKING:
    import pulumi

    from rehearsal.doubles.resource import ResourceType

TYPES = {**AWS.types, **VAULT.types}


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda hump: hump[1].upper(), name)


def sdk_class(token: str) -> type[pulumi.Resource]:
    package, module, name = token.split(":")
    folder = module.split("/")[0].lower()  # `appRole` is the SDK's `approle`
    path = f"pulumi_{package}" if folder == "index" else f"pulumi_{package}.{folder}"
    found: type[pulumi.Resource] = getattr(importlib.import_module(path), name)
    return found


def sdk_inputs(kind: type[pulumi.Resource]) -> set[str]:
    parameters = inspect.signature(kind._internal_init).parameters  # noqa: SLF001 -- the only place with real names
    return {camel(name) for name in parameters} - {"resourceName", "opts"}


def sdk_outputs(kind: type[pulumi.Resource]) -> set[str]:
    return {camel(name) for name, value in vars(kind).items() if isinstance(value, property)}


@pytest.mark.parametrize("token", sorted(TYPES))
def test_properties_are_those_of_the_sdk(token: str) -> None:
    kind: ResourceType[object] = TYPES[token]  # type: ignore[assignment]
    inputs, outputs = sdk_inputs(sdk_class(token)), sdk_outputs(sdk_class(token))
    assert kind.known is not None
    # `path` places of the API that the SDK names otherwise would show here too.
    settable = kind.known | kind.required | kind.replace | kind.defaults.keys()
    foreign = settable - inputs - MOUNT_DETAILS
    assert foreign == set()
    assert kind.computed <= outputs
    assert kind.replace | kind.documents | kind.unordered | kind.only_if_set <= kind.known
    assert {name.partition(".")[0] for name in kind.secrets} <= kind.known | kind.computed


# What a table for every mount knows and the SDK's class for one kind of mount fixes.
MOUNT_DETAILS = {"type", "local", "sealWrap", "externalEntropyAccess"}


@pytest.mark.parametrize("package", [AWS, VAULT], ids=lambda package: package.name)
def test_settings_are_those_of_the_sdks_provider(package: object) -> None:
    name = package.name  # type: ignore[attr-defined]
    provider = importlib.import_module(f"pulumi_{name}").Provider
    settings = package.text_settings | package.json_settings  # type: ignore[attr-defined]
    assert settings - sdk_inputs(provider) == {"version"}
