"""A deployed gate on real servers: what the program made of `stacks/`, with a few more actions than are declared there.

Not a test module: what the tests of approvals share. Everybody here has a login of their own by the identity provider.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from narrowgate.access.lock import lock_file, write_lock
from narrowgate.approvals import Gate, log_in_approver, read_gate
from narrowgate.approvals.executor import Executor
from narrowgate.approvals.vault import Vault
from narrowgate.compile import compile_plan, names
from narrowgate.compile.drafts import STORES
from narrowgate.declarations import load_environment, load_plan
from narrowgate.runtime.proposals import make_request_id
from rehearsal import idp, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import hvac

    from narrowgate.approvals import Approver
    from narrowgate.approvals.case import Outcome
    from rehearsal.live import LiveRehearsal

WORKFLOW = "vendor-onboarding"
REVOCATIONS = "narrowgate-revocations"
MOUNTS = dict(STORES)
PEOPLE = {
    "ann": ("vendor-approvers",),
    "bob": ("vendor-approvers",),
    "carl": ("incident-commanders",),
    "dora": ("security",),
    "eve": ("vendor-approvers", "security"),
    "vera": ("procurement", "vendor-approvers"),
}
GROUPS = ("vendor-approvers", "incident-commanders", "security")
# Each action does what `create` does, under another rule: `create` is declared in `stacks/`, the others are added here.
ACTIONS = {
    "create": "{approvers: [vendor-approvers], required: 1, expires: 30m}",
    "create-by-two": "{approvers: [vendor-approvers], required: 2, expires: 10m}",
    "create-with-security": (
        "{approvers: [vendor-approvers], all_of: [{approvers: [security], required: 1}], required: 1, expires: 10m}"
    ),
    "create-soon": "{approvers: [vendor-approvers], required: 1, expires: 60s}",
    "create-in-haste": "{approvers: [vendor-approvers, incident-commanders], required: 1, expires: 4s}",
}
# A gated action behind AWS: a vendor's outdated paper goes.
DELETE = """
  delete:
    access: delete
    impact: high
    grants:
      - iam: ["s3:DeleteObject"]
        on: "arn:${env.partition}:s3:::${binding.bucket}/${scope.prefix}/*"
    description: Deletes a document.
    inputs:
      type: object
      additionalProperties: false
      required: [key]
      properties:
        key: {type: string, minLength: 1, maxLength: 1024}
    execute:
      handler: aws-call
      call: {service: s3, operation: DeleteObject, arguments: {Bucket: "${binding.bucket}", Key: "${inputs.key}"}}
      read:
        operation: HeadObject
        arguments: {Bucket: "${binding.bucket}", Key: "${inputs.key}"}
        fields: {etag: ETag, bytes: ContentLength}
      changes: {etag: null, bytes: null}
      result: {version: VersionId}
      reversible: "no: the bucket keeps no versions"
"""
# A gated action behind HTTP: the payments service is asked to give money back.
REFUND = """
  refund:
    access: write
    impact: high
    grants:
      - {audience: "${binding.audience}"}
    description: Gives a customer's money back.
    inputs:
      type: object
      additionalProperties: false
      required: [payment, amount]
      properties:
        payment: {type: string, minLength: 1, maxLength: 64}
        amount: {type: integer, minimum: 1}
    execute:
      handler: http
      url: "${binding.url}"
      method: POST
      path: [payments, "${inputs.payment}", refunds]
      headers: {Idempotency-Key: "${digest}"}
      body: {amount: "${inputs.amount}", region: "${scope.region}", approved_by: "${approvers}"}
      read: {path: [payments, "${inputs.payment}"], fields: {refunded: refunded}}
      changes: {refunded: "${inputs.amount}"}
      result: {refund: id}
      reversible: "no: the money is gone"
"""
READER = f"narrowgate-database/creds/executor.vendors.{WORKFLOW}.create"


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
        """Return the workflow's manifest."""
        return dict(json.loads(self.live.manifest(WORKFLOW).read_text()))

    def policy(self, name: str) -> str:
        """Return the text of a compiled policy of a gated action."""
        stacks = self.live.layout.stacks
        documents = compile_plan(load_plan(stacks, load_environment(stacks, "dev")))
        return next(g.policy.text for w in documents.workflows for g in w.gated if g.policy.name == name)

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

    def logins(self, action: str = "create") -> list[str]:
        """Return the database logins that may execute an action now."""
        group = names.gated_group_name("dev", WORKFLOW, "vendors", action, "gated")
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


def prepare_stacks(stacks: Path) -> None:
    """Declare the further actions in a copy of `stacks/`, and review them: write the lock that a deploy is held to."""
    tool, workflow = stacks / "tools" / "vendors.yaml", stacks / "workflows" / f"{WORKFLOW}.yaml"
    head, _, create = tool.read_text().partition("  create:\n")
    create, _, _ = create.partition("secret_fields:")
    create = create.replace("bank_account: {type: string,", "bank_account: {type: string, writeOnly: true,")
    tool.write_text(head + "".join(f"  {action}:\n{create}" for action in ACTIONS) + "secret_fields: [country]\n")
    text, _, _ = workflow.read_text().partition("approvals:\n")
    text = text.replace("actions: [read, create]", f"actions: [read, {', '.join(ACTIONS)}]")
    rules = "".join(f"  vendors.{action}: {rule}\n" for action, rule in ACTIONS.items())
    text = text.replace("  documents:\n    actions: [read]", "  documents:\n    actions: [read, delete]")
    text = text.replace(
        "  vendors:\n", "  payments:\n    actions: [read, refund]\n    scope: {region: emea}\n  vendors:\n"
    )
    rules += "  payments.refund: {approvers: [vendor-approvers], required: 1, expires: 10m}\n"
    rules += "  documents.delete: {approvers: [vendor-approvers], required: 1, expires: 10m}\n"
    workflow.write_text(f"{text}approvals:\n{rules}")
    documents = stacks / "tools" / "documents.yaml"
    documents.write_text(documents.read_text().rstrip() + DELETE)
    payments = stacks / "tools" / "payments.yaml"
    payments.write_text(payments.read_text().rstrip() + REFUND)
    bindings = stacks / "Pulumi.dev.yaml"
    settings = bindings.read_text().replace("groups: [incident-commanders,", "groups: [incident-commanders, security,")
    bound = f'payments: {{url: "http://127.0.0.1:{_find_free_port()}/api", '
    bindings.write_text(settings.replace("payments: {", bound))
    plan = load_plan(stacks, load_environment(stacks, "dev"))
    lock_file(stacks, "dev").write_text(write_lock(plan))


def _find_free_port() -> int:
    """Return a port for the service behind `payments`, which the test that needs it starts."""
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def build_bench(live: LiveRehearsal) -> GateBench:
    """Return the bench of a rehearsal that was deployed from prepared stacks."""
    return GateBench(live, live.vault(), dict(json.loads(live.layout.gate.read_text())))
