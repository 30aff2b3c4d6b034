"""Tokens, secrets and certificates: a hostile scope stays a value, in every place where it may stand."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrowgate.compile import CompileError
from narrowgate.compile.backends.backend import SCOPE, TOOL, WORKFLOW
from narrowgate.compile.backends.bearer import ACCESSOR_PLACEHOLDER, BearerGrant, claims_template
from narrowgate.compile.backends.kv import KV, KvGrant
from narrowgate.compile.backends.pki import PkiGrant
from narrowgate.compile.errors import PlaceError
from narrowgate.compile.references import Reference, Value
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import CertificateGrant, ClaimGrant, SecretGrant

CATALOGUE = Path(__file__).resolve().parents[1] / "golden" / "catalogue"
PLAN = load_plan(CATALOGUE, load_environment(CATALOGUE, "test"))
OPERATIONS = next(workflow for workflow in PLAN.workflows if workflow.name == "operations")
CRM = next(tool for tool in OPERATIONS.tools if tool.tool == "crm")
HOSTILE = st.text(st.sampled_from("{}\"\\'.a/*+ \n:%$"), max_size=20) | st.text(max_size=20)
SCOPES = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True),
    HOSTILE | st.integers() | st.booleans() | st.lists(HOSTILE, max_size=3),
    max_size=4,
)


@given(SCOPES)
def test_a_token_carries_the_scope_and_asks_vault_for_the_requester_only(scope: dict[str, object]) -> None:
    tool = dataclasses.replace(CRM, scope=json.dumps(scope, ensure_ascii=False))
    template = claims_template(OPERATIONS, tool, PLAN.environment)
    requester = f"{{{{identity.entity.aliases.{ACCESSOR_PLACEHOLDER}.name}}}}"
    assert template.count(requester) == 1
    rest = template.replace(requester, '"somebody"')
    # What Vault would take for a template of its own.
    assert "{{" not in rest
    assert "}}" not in rest
    claims = json.loads(rest)
    assert claims["scope"] == scope
    assert claims["requester"] == "somebody"


def values(name: str, value: Value) -> dict[Reference, Value]:
    return {
        Reference("scope", name): value,
        Reference("binding", name): value,
        Reference("env", "name"): "test",
        SCOPE: "{}",
        TOOL: "pager",
        WORKFLOW: "operations",
    }


@given(HOSTILE)
def test_a_secrets_path_is_exact_and_under_its_tool(value: str) -> None:
    grant = KvGrant.model_validate({"secret": "keys/${scope.x}", "max_age": "90d"})
    try:
        (secret,) = grant.resolve(values("x", value))
    except PlaceError:
        return
    assert isinstance(secret, SecretGrant)
    assert re.fullmatch(r"pager/keys/[A-Za-z0-9_-][A-Za-z0-9_.-]*", secret.path)


@given(HOSTILE)
def test_an_audience_is_a_name(value: str) -> None:
    try:
        (claim,) = BearerGrant(audience="${scope.x}").resolve(values("x", value))
    except PlaceError:
        return
    assert isinstance(claim, ClaimGrant)
    assert claim.audience == value
    assert not re.search(r"[\s\"'{}*]", value)


@given(HOSTILE)
def test_a_certificates_name_has_its_four_parts(value: str) -> None:
    try:
        (certificate,) = PkiGrant(trust_domain="${binding.x}").resolve(values("x", value))
    except PlaceError:
        return
    assert isinstance(certificate, CertificateGrant)
    assert certificate.uri_san.split("/") == ["spiffe:", "", value, "test", "operations", "pager"]


def test_a_tool_has_one_secret() -> None:
    pager = next(tool for tool in OPERATIONS.tools if tool.tool == "pager")
    (action,) = pager.actions
    twice = dataclasses.replace(action, grants=(*action.grants, SecretGrant("pager/other", 1)))
    with pytest.raises(CompileError, match="one secret"):
        KV.check_tool(dataclasses.replace(pager, actions=(twice,)))
