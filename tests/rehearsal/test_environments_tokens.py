"""Signed tokens, client certificates and stored keys in dev and prod: each serves at home alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from backend_agents import NIGHTLY, nightly_agent
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from test_environments_crossing import DIRECTIONS, PLANS

if TYPE_CHECKING:
    from rehearsal.live import LiveRehearsal


def bound(environment: str, tool: str, name: str) -> str:
    binding = next(each for each in PLANS[environment].environment.tools if each.tool == tool)
    return str(dict(binding.values)[name])


def verify(live: LiveRehearsal, token: str, audience: str) -> Any:  # noqa: ANN401 - JSON
    """Check a token as a tool of this environment does, by its own Vault's published keys."""
    issuer = f"{live.vault('').url}/v1/identity/oidc"
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(live.layout.ca_certificate)
        keys = jwt.PyJWKSet.from_dict(session.get(f"{issuer}/.well-known/keys", timeout=10).json())
    known = {key.key_id: key for key in keys.keys}
    key = known.get(jwt.get_unverified_header(token)["kid"])
    if key is None:
        raise jwt.InvalidKeyError("this Vault has no such key")
    return jwt.decode(token, key, algorithms=["ES256"], audience=audience, issuer=issuer)


@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_a_signed_token_is_believed_at_home_alone(both: LiveRehearsal, home: str, away: str) -> None:
    here, there = both.of(home), both.of(away)
    with nightly_agent(here) as agent:
        token = agent.bearer("payments").token
    said = verify(here, token, bound(home, "payments", "audience"))
    assert (said["environment"], said["workflow"], said["tool"]) == (home, NIGHTLY, "payments")
    for audience in (bound(home, "payments", "audience"), bound(away, "payments", "audience")):
        with pytest.raises(jwt.InvalidKeyError, match="no such key"):
            verify(there, token, audience)


@pytest.mark.parametrize(("home", "away"), DIRECTIONS)
def test_a_certificate_is_of_its_own_trust_domain(both: LiveRehearsal, home: str, away: str) -> None:
    made = {}
    for environment in (home, away):
        with nightly_agent(both.of(environment)) as agent:
            made[environment] = agent.certificate("ledger")
    own = x509.load_pem_x509_certificate(made[home].certificate_pem.encode())
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    domain = bound(home, "ledger", "trust_domain")
    assert list(names.get_values_for_type(x509.UniformResourceIdentifier)) == [
        f"spiffe://{domain}/{home}/{NIGHTLY}/ledger"
    ]
    home_ca, away_ca = (x509.load_pem_x509_certificates(made[each].chain_pem.encode())[0] for each in (home, away))
    own.verify_directly_issued_by(home_ca)
    with pytest.raises((InvalidSignature, ValueError)):
        own.verify_directly_issued_by(away_ca)


def test_a_stored_key_is_its_own_environments(both: LiveRehearsal) -> None:
    for environment in PLANS:
        live = both.of(environment)
        with nightly_agent(live) as agent:
            path = str(agent.find_tool("exchange-rates").path)
            body = {"options": {"cas": 0}, "data": {"key": f"of-{environment}"}}
            live.vault().write_data(path, data=body)
            assert agent.secret("exchange-rates")["key"] == f"of-{environment}"
    for environment in PLANS:
        with nightly_agent(both.of(environment)) as agent:
            assert agent.secret("exchange-rates")["key"] == f"of-{environment}"
