"""A gate on real servers: OpenBao with control groups, PostgreSQL with functions, people, agents and executors.

Not a test module: what the tests of approvals share. Everybody here has a login of their own by the identity provider.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from narrowgate.approvals import Gate, log_in_approver, read_gate
from narrowgate.approvals.executor import Executor
from narrowgate.approvals.vault import Vault
from narrowgate.compile.ledger import ANCHOR_MOUNT, SIGNING_MOUNT
from narrowgate.compile.postgres import build_creation_statements, build_revocation_statements
from narrowgate.runtime.proposals import make_request_id
from rehearsal import bao, idp, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import hvac

    from narrowgate.approvals import Approver
    from narrowgate.approvals.case import Outcome
    from rehearsal.live import LiveRehearsal

WORKFLOW = "vendor-onboarding"
REVOCATIONS = "narrowgate-revocations"
MOUNTS = {kind: f"narrowgate-{kind}" for kind in ("drafts", "cases", "decisions", "records", "held")}
PEOPLE = {
    "ann": ("vendor-approvers",),
    "bob": ("vendor-approvers",),
    "carl": ("incident-commanders",),
    "dora": ("security",),
    "eve": ("vendor-approvers", "security"),
    "vera": ("procurement", "vendor-approvers"),
}
GROUPS = ("vendor-approvers", "incident-commanders", "security")
TARGET = {
    "schema": "public",
    "table": "vendors",
    "columns": ["country", "name", "status", "tenant"],
    "key": {"tenant": "emea", "name": "${inputs.name}"},
}
INPUTS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "country", "bank_account"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "bank_account": {"type": "string", "writeOnly": True},
    },
}
EXECUTE = {
    "handler": "sql-function",
    "function": {"schema": "public", "function": "create_vendor", "arguments": ["text"] * 5},
    "arguments": ["emea", "${inputs.name}", "${inputs.country}", "${inputs.bank_account}", "${digest}"],
    "target": TARGET,
    "changes": {"country": "${inputs.country}", "name": "${inputs.name}", "status": "active", "tenant": "emea"},
    "reversible": "yes: block the vendor",
}
# action -> factors: what its control group asks for
ACTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "create": ({"groups": ["vendor-approvers"], "required": 1},),
    "create-by-two": ({"groups": ["vendor-approvers"], "required": 2},),
    "create-with-security": (
        {"groups": ["vendor-approvers"], "required": 1},
        {"groups": ["security"], "required": 1},
    ),
    "create-in-haste": ({"groups": ["vendor-approvers", "incident-commanders"], "required": 1},),
}
SECONDS = {"create-in-haste": 4}


@dataclass
class GateBench:
    """The gate, and logins of everybody at it."""

    live: LiveRehearsal
    root: hvac.Client
    document: dict[str, Any]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def gate(self) -> Gate:
        return read_gate(json.loads(json.dumps(self.document)))

    @property
    def verify(self) -> str:
        return str(self.live.layout.ca_certificate)

    def connect(self, token: str = "") -> Vault:
        return Vault(self.gate.address, namespace=None, verify=self.verify, token=token)

    def sign(self, user: str, kind: str, *groups: str, workflow: str | None = None) -> str:
        subject = idp.Subject(user, groups, workflow)
        return idp.sign_token(self.live.layout, subject, aud=f"narrowgate:dev:{kind}")

    def agent(self, user: str = "vera") -> tuple[Vault, str]:
        """Log in as the workflow's agent acting for `user`; return the connection and the entity."""
        vault = self.connect()
        auth = vault.log_in(f"agents/{WORKFLOW}", "agent", self.agent_token(user))
        return vault, str(auth["entity_id"])

    def manifest(self) -> dict[str, Any]:
        """Return the workflow's manifest, as far as proposals go."""
        gated = {"access": "write", "impact": "high", "gated": True, "inputs": INPUTS}
        plain = {"access": "read", "impact": "low", "gated": False}
        return {
            "version": 1,
            "workflow": WORKFLOW,
            "environment": "dev",
            "vault": self.document["vault"],
            "login": {"mount": f"agents/{WORKFLOW}", "role": "agent", "audience": f"narrowgate:dev:{WORKFLOW}"},
            "tools": {"vendors": {"backend": "postgres", "actions": {"read": plain, **dict.fromkeys(ACTIONS, gated)}}},
            "proposals": {
                "drafts": f"{MOUNTS['drafts']}/data/{WORKFLOW}",
                "answers": f"{MOUNTS['records']}/data/_answers/{WORKFLOW}",
            },
        }

    def agent_token(self, user: str = "vera") -> str:
        """Return what the identity provider gives the workflow's agent acting for `user`."""
        return self.sign(user, WORKFLOW, "procurement", workflow=WORKFLOW)

    def draft(self, name: str, action: str = "create", user: str = "vera", **changed: object) -> str:
        """Have the agent draft a vendor, and return the request id."""
        vault, entity = self.agent(user)
        inputs = {"name": name, "country": "FI", "bank_account": "FI00 1234"}
        data = {"version": 1, "action": f"vendors.{action}", "inputs": inputs, "rationale": "Its papers are complete."}
        key = f"vendors.{action}.{next(self.numbers)}"
        assert vault.create_entry(MOUNTS["drafts"], f"{WORKFLOW}/{entity}/{key}", {**data, **changed})
        vault.revoke_self()
        return make_request_id(WORKFLOW, entity, key)

    @contextlib.contextmanager
    def approver(self, user: str) -> Iterator[Approver]:
        with log_in_approver(self.gate, self.sign(user, "approvers", *PEOPLE[user])) as approver:
            yield approver

    def executor(self, claim_seconds: int = 60, ledger: Path | None = None) -> Executor:
        source = lambda: self.sign("executor:vendors", "executors:vendors")  # noqa: E731 - read at each login
        return Executor(self.gate, "vendors", source, verify=self.verify, claim_seconds=claim_seconds, ledger=ledger)

    def approve(self, user: str, request: str, reason: str = "Papers checked.") -> None:
        with self.approver(user) as approver:
            view = approver.read_case(request)
            approver.approve(request, digest=view.digest, reason=reason, seen_at=view.read_at)

    def deny(self, user: str, request: str, reason: str = "No.") -> None:
        with self.approver(user) as approver:
            view = approver.read_case(request)
            approver.deny(request, digest=view.digest, reason=reason, seen_at=view.read_at)

    def outcome(self, request: str) -> Outcome | None:
        with self.approver("carl") as approver:
            return approver.read_case(request).outcome

    def record(self, request: str) -> dict[str, Any]:
        """Return the outcome's entry, read as the operator."""
        path = f"{MOUNTS['records']}/data/{request.replace('.', '/')}/outcome"
        answer = self.root.read(path)
        return dict(answer["data"]["data"]) if answer else {}

    def vendors(self, name: str) -> list[tuple[Any, ...]]:
        with self.live.postgres(postgres.SUPERUSER) as connection:
            return connection.execute("SELECT country, status FROM vendors WHERE name = %s", [name]).fetchall()

    def logins(self, group: str = "gate_create") -> list[str]:
        """Return the database logins that are in a group now."""
        query = (
            "SELECT member.rolname FROM pg_auth_members m JOIN pg_roles member ON member.oid = m.member "
            "JOIN pg_roles held ON held.oid = m.roleid WHERE held.rolname = %s "
            "AND member.rolname NOT IN ('deployer', 'vault_broker')"
        )
        with self.live.postgres(postgres.SUPERUSER) as connection:
            return [str(row[0]) for row in connection.execute(query, [group]).fetchall()]

    def held(self, request: str) -> dict[str, str]:
        """Return what only executors may read of a request, read as the operator."""
        key = request.partition(".")[2]
        return dict(self.root.read(f"{MOUNTS['held']}/data/{WORKFLOW}/vendors/{key}")["data"]["data"])


def build_bench(live: LiveRehearsal) -> GateBench:
    """Set the gate up by hand, as the compiler's documents will."""
    root = live.vault()
    document = describe(live)
    root.sys.enable_secrets_engine("kv", path=REVOCATIONS, options={"version": "2"})
    for mount in MOUNTS.values():
        root.sys.enable_secrets_engine("kv", path=mount, options={"version": "2"})
        while True:  # KV v2 answers 400 while it upgrades itself
            with contextlib.suppress(Exception):
                root.write_data(f"{mount}/config", data={"cas_required": True})
                break
    root.sys.enable_secrets_engine("kv", path=ANCHOR_MOUNT, options={"version": "2"})
    root.sys.enable_secrets_engine("transit", path=SIGNING_MOUNT)
    root.write_data(f"{SIGNING_MOUNT}/keys/executor.vendors", data={"type": "ed25519"})
    make_logins(live, root)
    make_credentials(live, root)
    for name, text in policies().items():
        root.sys.create_or_update_policy(name, text)
    return GateBench(live, root, document)


def describe(live: LiveRehearsal) -> dict[str, Any]:
    actions = [
        {
            "workflow": WORKFLOW,
            "tool": "vendors",
            "action": action,
            "backend": "postgres",
            "description": "Makes a vendor record that is active at once.",
            "path": f"narrowgate-database-gated/creds/{WORKFLOW}.vendors.{action}",
            "login_role": f"{WORKFLOW}.{action}",
            "num_uses": 3,
            "factors": list(factors),
            "secret_fields": ["country"],
            "expires_seconds": SECONDS.get(action, 600),
            "credential_seconds": 300,
            "inputs": INPUTS,
            "execute": EXECUTE,
            "connection": {
                "host": "127.0.0.1",
                "port": live.port(postgres.NAME),
                "database": postgres.DATABASE,
                "sslmode": "disable",
            },
            "requester_mount": f"agents/{WORKFLOW}",
            "reader_path": f"narrowgate-database/creds/executor.{WORKFLOW}.vendors",
        }
        for action, factors in ACTIONS.items()
    ]
    return {
        "version": 1,
        "environment": "dev",
        "vault": {
            "address": bao.get_address(live.layout),
            "ca_pem": live.layout.ca_certificate.read_text(),
            "revocations": REVOCATIONS,
        },
        "mounts": MOUNTS,
        "group_prefix": "approvers.",
        "approvers": {"mount": "approvers", "role": "approver", "audience": "narrowgate:dev:approvers"},
        "executors": {
            "vendors": {
                "mount": "executors/vendors",
                "role": "executor",
                "audience": "narrowgate:dev:executors:vendors",
                "ledger": {
                    "sign": f"{SIGNING_MOUNT}/sign/executor.vendors",
                    "anchors": f"{ANCHOR_MOUNT}/data/executor.vendors",
                },
            }
        },
        "actions": actions,
    }


def make_logins(live: LiveRehearsal, root: hvac.Client) -> None:
    trust = {"jwt_validation_pubkeys": [idp.read_public_key(live.layout)], "bound_issuer": idp.issuer(live.layout)}
    shared = {
        "role_type": "jwt",
        "user_claim": "/sub",
        "user_claim_json_pointer": True,
        "token_no_default_policy": True,
    }
    for path in (f"agents/{WORKFLOW}", "approvers", "executors/vendors"):
        root.sys.enable_auth_method("jwt", path=path)
        root.write_data(f"auth/{path}/config", data=trust)
    root.write_data(
        f"auth/agents/{WORKFLOW}/role/agent",
        data={
            **shared,
            "bound_audiences": [f"narrowgate:dev:{WORKFLOW}"],
            "bound_claims": {"/act/sub": f"agent:{WORKFLOW}"},
            "token_policies": ["agent"],
        },
    )
    root.write_data(
        "auth/approvers/role/approver",
        data={
            **shared,
            "groups_claim": "/groups",
            "bound_audiences": ["narrowgate:dev:approvers"],
            "bound_claims": {"/groups": list(GROUPS)},
            "token_policies": ["approver"],
        },
    )
    executor = {"bound_audiences": ["narrowgate:dev:executors:vendors"], "bound_subject": "executor:vendors"}
    root.write_data(
        "auth/executors/vendors/role/executor", data={**shared, **executor, "token_policies": ["executor.vendors"]}
    )
    for action in ACTIONS:
        root.write_data(
            f"auth/executors/vendors/role/{WORKFLOW}.{action}",
            data={
                **shared,
                **executor,
                "token_policies": [f"gated.{WORKFLOW}.vendors.{action}"],
                "token_num_uses": 3,
                "token_ttl": SECONDS.get(action, 600) + 300,
            },
        )
    accessor = root.sys.list_auth_methods()["data"]["approvers/"]["accessor"]
    for group in GROUPS:
        made = root.write_data("identity/group", data={"name": f"approvers.{group}", "type": "external"})
        alias = {"name": group, "mount_accessor": accessor, "canonical_id": made["data"]["id"]}
        root.write_data("identity/group-alias", data=alias)


def make_credentials(live: LiveRehearsal, root: hvac.Client) -> None:
    grants = {
        "gate_reader": "GRANT SELECT (tenant, name, country, status) ON vendors TO gate_reader",
        "gate_create": "GRANT EXECUTE ON FUNCTION create_vendor(text, text, text, text, text) TO gate_create",
    }
    with live.postgres() as deployer:
        for group, grant in grants.items():
            deployer.execute(f"CREATE ROLE {group} NOLOGIN".encode())
            deployer.execute(f"GRANT {group} TO vault_broker WITH ADMIN OPTION, INHERIT FALSE, SET FALSE".encode())
            deployer.execute(f"GRANT USAGE ON SCHEMA public TO {group}".encode())
            deployer.execute(grant.encode())
    for mount in ("narrowgate-database", "narrowgate-database-gated"):
        root.sys.enable_secrets_engine("database", path=mount)
        port = live.port(postgres.NAME)
        root.write_data(
            f"{mount}/config/operations",
            data={
                "plugin_name": "postgresql-database-plugin",
                "allowed_roles": ["*"],
                "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/operations?sslmode=disable",
                "username": postgres.BROKER,
                "password": postgres.read_password(live.layout, postgres.BROKER),
            },
        )
    roles = {f"narrowgate-database/roles/executor.{WORKFLOW}.vendors": "gate_reader"}
    roles |= {f"narrowgate-database-gated/roles/{WORKFLOW}.vendors.{action}": "gate_create" for action in ACTIONS}
    for path, group in roles.items():
        root.write_data(
            path,
            data={
                "db_name": "operations",
                "creation_statements": list(
                    build_creation_statements(group, ["public"], connection_limit=5, settings={})
                ),
                "revocation_statements": list(build_revocation_statements(group)),
                "default_ttl": 300,
                "max_ttl": 300,
            },
        )


def policies() -> dict[str, str]:
    found = {"agent": AGENT, "approver": APPROVER, "executor.vendors": EXECUTOR}
    for action, factors in ACTIONS.items():
        blocks = "".join(
            f'factor "f{number}" {{ controlled_capabilities = ["read"] identity {{ '
            f"group_names = {json.dumps([f'approvers.{g}' for g in factor['groups']])} "
            f"approvals = {factor['required']} }} }} "
            for number, factor in enumerate(factors)
        )
        found[f"gated.{WORKFLOW}.vendors.{action}"] = (
            f'path "narrowgate-database-gated/creds/{WORKFLOW}.vendors.{action}" {{ capabilities = ["read"] '
            f'control_group = {{ ttl = "{SECONDS.get(action, 600)}s" {blocks} }} }}\n'
            'path "auth/token/revoke-self" { capabilities = ["update"] }\n'
        )
    return found


AGENT = """
path "narrowgate-drafts/data/vendor-onboarding/{{identity.entity.id}}/+" { capabilities = ["create"] }
path "narrowgate-records/data/_answers/vendor-onboarding/{{identity.entity.id}}/+" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""
APPROVER = """
path "narrowgate-cases/data/+/+" { capabilities = ["read"] }
path "narrowgate-cases/metadata/+" { capabilities = ["list"] }
path "narrowgate-held/metadata/+/+" { capabilities = ["list"] }
path "narrowgate-decisions/data/+/+/+" { capabilities = ["read"] }
path "narrowgate-decisions/metadata/+/+" { capabilities = ["list"] }
path "narrowgate-decisions/metadata/_stops" { capabilities = ["list"] }
path "narrowgate-decisions/data/_stops/+" { capabilities = ["read"] }
path "narrowgate-decisions/data/_stops/{{identity.entity.id}}" { capabilities = ["create", "read"] }
path "narrowgate-decisions/data/+/+/{{identity.entity.id}}" { capabilities = ["create", "read"] }
path "narrowgate-records/data/+/+/claim" { capabilities = ["read"] }
path "narrowgate-records/data/+/+/outcome" { capabilities = ["read"] }
path "sys/control-group/authorize" { capabilities = ["update"] }
path "sys/control-group/request" { capabilities = ["update"] }
path "identity/entity/id/+" { capabilities = ["read"] }
path "identity/group/id/+" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""
EXECUTOR = """
path "narrowgate-revocations/data/+" { capabilities = ["read"] }
path "narrowgate-drafts/metadata/vendor-onboarding" { capabilities = ["list"] }
path "narrowgate-drafts/metadata/vendor-onboarding/+" { capabilities = ["list"] }
path "narrowgate-drafts/data/vendor-onboarding/+/vendors.*" { capabilities = ["read"] }
path "narrowgate-cases/data/vendor-onboarding/+" { capabilities = ["create", "read"] }
path "narrowgate-decisions/data/vendor-onboarding/+/+" { capabilities = ["read"] }
path "narrowgate-decisions/metadata/vendor-onboarding/+" { capabilities = ["list"] }
path "narrowgate-decisions/data/_stops/+" { capabilities = ["read"] }
path "narrowgate-decisions/metadata/_stops" { capabilities = ["list"] }
path "narrowgate-records/data/vendor-onboarding/+/claim" { capabilities = ["create", "read"] }
path "narrowgate-records/data/vendor-onboarding/+/outcome" { capabilities = ["create", "read"] }
path "narrowgate-records/data/_answers/vendor-onboarding/+/+" { capabilities = ["create", "read"] }
path "narrowgate-held/data/vendor-onboarding/vendors/+" { capabilities = ["create", "read"] }
path "narrowgate-held/metadata/vendor-onboarding/vendors" { capabilities = ["list"] }
path "narrowgate-held/metadata/vendor-onboarding/vendors/+" { capabilities = ["delete"] }
path "narrowgate-database/creds/executor.vendor-onboarding.vendors" { capabilities = ["read"] }
path "sys/control-group/request" { capabilities = ["update"] }
path "identity/entity/id/+" { capabilities = ["read"] }
path "identity/group/id/+" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "narrowgate-transit/sign/executor.vendors" { capabilities = ["update"] }
path "narrowgate-ledger/data/executor.vendors/{{identity.entity.id}}/+" { capabilities = ["create"] }
"""
