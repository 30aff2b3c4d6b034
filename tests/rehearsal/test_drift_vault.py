"""What was made or changed by hand in Vault is drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from drift_bench import ROGUE_HCL, WORKFLOW, assert_found, find, written

from narrowgate.audit.drift.facts import Kind

if TYPE_CHECKING:
    import hvac

    from narrowgate.audit.drift.expected import Expected
    from rehearsal.live import LiveRehearsal


NOTHING_HCL = 'path "narrowgate-aws/sts/x" {\n  capabilities = ["deny"]\n}\n'


def vault_changes(vault: hvac.Client) -> dict[str, tuple[str, dict[str, Any] | None, Kind, str, str]]:
    """Return changes: what is written where, and which finding it must be: kind, thing, detail."""
    agent, tool = f"auth/agents/{WORKFLOW}/role/agent", f"tool.{WORKFLOW}.logs"
    policy = vault.read(f"sys/policies/acl/{tool}")["data"]["policy"]
    held = vault.read(agent)["data"]
    minted = vault.read(f"narrowgate-aws/roles/{WORKFLOW}.logs")["data"]
    logins = vault.read(f"narrowgate-database/roles/{WORKFLOW}.incidents")["data"]
    wide = [logins["creation_statements"][0].replace("NOSUPERUSER", "SUPERUSER")]
    key = {"key": "narrowgate", "client_id": "https://payments.dev.example.com", "template": "{}"}
    trust = vault.read(f"auth/agents/{WORKFLOW}/config")["data"]
    other_issuer = {"jwt_validation_pubkeys": trust["jwt_validation_pubkeys"], "bound_issuer": "https://evil.example"}
    return {
        "a login more": (f"auth/agents/{WORKFLOW}/role/more", held, Kind.UNKNOWN, f"{WORKFLOW}/role/more", "no plan"),
        "a wider login": (
            agent,
            {**held, "token_policies": [*held["token_policies"], "root"]},
            Kind.CHANGED,
            agent,
            "token_policies",
        ),
        "no login": (agent, None, Kind.MISSING, agent, ""),
        "another issuer": (
            f"auth/agents/{WORKFLOW}/config",
            other_issuer,
            Kind.CHANGED,
            f"auth mount auth/agents/{WORKFLOW}",
            "bound_issuer",
        ),
        "an executor's login": (
            "auth/executors/role/gated.more",
            {**held, "token_policies": ["root"]},
            Kind.UNKNOWN,
            "gated.more",
            "",
        ),
        "a wider policy": (
            f"sys/policies/acl/{tool}",
            {"policy": policy + ROGUE_HCL},
            Kind.CHANGED,
            f"policy {tool}",
            "narrowgate-aws/sts",
        ),
        "a narrower policy": (
            f"sys/policies/acl/{tool}",
            {"policy": NOTHING_HCL},
            Kind.CHANGED,
            f"policy {tool}",
            "less",
        ),
        "a policy more": ("sys/policies/acl/agent.more", {"policy": ROGUE_HCL}, Kind.UNKNOWN, "policy agent.more", ""),
        "no policy": (f"sys/policies/acl/{tool}", None, Kind.MISSING, f"policy {tool}", ""),
        "a system's policy": (
            "sys/policies/acl/system.operator",
            {"policy": ROGUE_HCL},
            Kind.CHANGED,
            "policy system.operator",
            "",
        ),
        "an AWS role more": ("narrowgate-aws/roles/more", minted, Kind.UNKNOWN, "narrowgate-aws/roles/more", ""),
        "another AWS role": (
            f"narrowgate-aws/roles/{WORKFLOW}.logs",
            {**minted, "role_arns": ["arn:aws:iam::111111111111:role/admin"]},
            Kind.CHANGED,
            f"{WORKFLOW}.logs",
            "role_arns",
        ),
        "another database login": (
            f"narrowgate-database/roles/{WORKFLOW}.incidents",
            {**logins, "creation_statements": wide},
            Kind.CHANGED,
            f"narrowgate-database/roles/{WORKFLOW}.incidents",
            "creation_statements",
        ),
        "an open CA role": (
            "narrowgate-pki/roles/more",
            {"allow_any_name": True},
            Kind.UNKNOWN,
            "narrowgate-pki/roles/more",
            "",
        ),
        "signed claims": ("identity/oidc/role/more", key, Kind.UNKNOWN, "identity/oidc/role/more", ""),
        "a gated role": (
            "narrowgate-database-gated/roles/more",
            logins,
            Kind.UNKNOWN,
            "narrowgate-database-gated/roles/more",
            "",
        ),
    }


CHANGES = (
    "a gated role", "a login more", "a narrower policy", "a policy more", "a system's policy", "a wider login",
    "a wider policy", "an AWS role more", "an executor's login", "an open CA role", "another AWS role",
    "another database login", "another issuer", "no login", "no policy", "signed claims",
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_by_hand_in_vault_is_found(rehearsal: LiveRehearsal, expected: Expected, change: str) -> None:
    vault = rehearsal.vault()
    path, data, kind, thing, detail = vault_changes(vault)[change]
    with written(vault, path, data):
        found = find(rehearsal, expected)
    assert_found(found, kind, thing, detail)
    assert len(found) == 1, found
    assert find(rehearsal, expected) == []


def test_every_change_is_tried(rehearsal: LiveRehearsal) -> None:
    assert sorted(vault_changes(rehearsal.vault())) == list(CHANGES)


def test_a_mount_that_was_made_by_hand_is_found(rehearsal: LiveRehearsal, expected: Expected) -> None:
    vault = rehearsal.vault()
    vault.sys.enable_auth_method("approle", path="agents/by-hand")
    vault.sys.enable_secrets_engine("kv", path="narrowgate-by-hand")
    try:
        found = find(rehearsal, expected)
    finally:
        vault.sys.disable_auth_method("agents/by-hand")
        vault.sys.disable_secrets_engine("narrowgate-by-hand")
    assert_found(found, Kind.UNKNOWN, "auth mount auth/agents/by-hand")
    assert_found(found, Kind.UNKNOWN, "secrets mount narrowgate-by-hand")


def test_what_others_sign_and_name_is_theirs(rehearsal: LiveRehearsal, expected: Expected) -> None:
    vault = rehearsal.vault()
    vault.write_data("identity/oidc/key/theirs", data={"allowed_client_ids": ["*"]})
    try:
        with (
            written(vault, "identity/oidc/role/theirs", {"key": "theirs"}),
            written(vault, "sys/policies/acl/their-policy", {"policy": ROGUE_HCL}),
        ):
            assert find(rehearsal, expected) == []
    finally:
        vault.delete("identity/oidc/key/theirs")
