"""The facts of an environment that decide access in every workflow: what the lock states of it, one line for each.

Not here: addresses, certificates and signing keys, which move without a change of access. A binding that is new must
be put here or be left out on purpose (a test holds the list). This module must not read or write locks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.plan import ApprovalsBinding, Environment

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class EnvironmentFact:
    """One fact: where it stands in the lock, what it is in an environment, and what its change means in `words`.

    `gains`: another value certainly lets somebody in who was not; otherwise nobody can tell. Both are new access.
    """

    section: str
    key: str
    read: Callable[[Environment], str]
    words: str
    gains: bool = False

    @property
    def name(self) -> str:
        """Return the fact's key in the lock, with its section."""
        return f"{self.section}.{self.key}" if self.section else self.key


FACTS: Final = (
    EnvironmentFact("", "account", lambda e: e.aws.account, "roles stand in the AWS account", gains=True),
    EnvironmentFact("", "broker", lambda e: e.aws.broker_arn, "every role may be assumed by", gains=True),
    EnvironmentFact(
        "", "gated_broker", lambda e: e.aws.gated_broker_arn, "every gated role may be assumed by", gains=True
    ),
    EnvironmentFact(
        "",
        "approvers",
        lambda e: ", ".join(e.approvals.groups) if e.approvals else "",
        "cases are read, and may be approved, by",
        gains=True,
    ),
    EnvironmentFact("", "approvers_page", lambda e: _page(e.approvals), "approvers' logins are sent to", gains=True),
    EnvironmentFact(
        "",
        "session_tags",
        lambda e: "set" if e.aws.session_tags else "none",
        "tags of AWS sessions are",
    ),
    EnvironmentFact("logins", "issuer", lambda e: e.identity.issuer, "logins are signed by", gains=True),
    EnvironmentFact("logins", "user", lambda e: e.identity.user_claim, "the user stands in a login at"),
    EnvironmentFact("logins", "agent", lambda e: e.identity.agent_claim, "the agent stands in a login at"),
    EnvironmentFact("logins", "groups", lambda e: e.identity.groups_claim, "the user's groups stand in a login at"),
    EnvironmentFact("logins", "agents", lambda e: e.identity.agent_prefix, "agents' names in logins begin with"),
    EnvironmentFact("logins", "audiences", lambda e: e.identity.audience_prefix, "logins' audiences begin with"),
    EnvironmentFact(
        "logins",
        "cluster",
        lambda e: e.kubernetes.host if e.kubernetes else "",
        "service accounts log in from the cluster",
        gains=True,
    ),
    EnvironmentFact("vault", "namespace", lambda e: e.vault.namespace or "", "Vault's namespace is"),
    EnvironmentFact("vault", "logins", lambda e: e.vault.auth_prefix, "Vault's auth mounts of agents begin with"),
    EnvironmentFact("vault", "aws", lambda e: e.vault.aws_mount, "AWS credentials come from Vault's"),
    EnvironmentFact("vault", "database", lambda e: e.vault.database_mount, "database logins come from Vault's"),
    EnvironmentFact("vault", "kv", lambda e: e.vault.kv_mount, "stored secrets come from Vault's"),
    EnvironmentFact("vault", "pki", lambda e: e.vault.pki_mount, "certificates come from Vault's"),
    EnvironmentFact("vault", "revocations", lambda e: e.vault.revocations_mount, "revocations are kept in Vault's"),
    EnvironmentFact("vault", "signing_key", lambda e: e.vault.signing_key, "tokens are signed by Vault's key"),
    EnvironmentFact("vault", "ci", lambda e: e.vault.ci_mount, "CI logs in at Vault's auth mount"),
    EnvironmentFact("deployer", "issuer", lambda e: _of(e, "issuer"), "CI's logins are signed by", gains=True),
    EnvironmentFact("deployer", "audience", lambda e: _of(e, "audience"), "CI's logins have the audience"),
    EnvironmentFact("deployer", "job", lambda e: _of(e, "subject"), "it is deployed by CI's job", gains=True),
    EnvironmentFact("deployer", "claims", lambda e: _of(e, "claims"), "that job's login must also say"),
    EnvironmentFact("deployer", "preview", lambda e: _of(e, "preview_subject"), "it is read by CI's job", gains=True),
    EnvironmentFact("deployer", "preview_claims", lambda e: _of(e, "preview_claims"), "that job's login must also say"),
    EnvironmentFact("operator", "groups", lambda e: _people(e)[0], "workflows are stopped by", gains=True),
    EnvironmentFact("operator", "principal", lambda e: _people(e)[1], "their sessions are cut by", gains=True),
    EnvironmentFact("vault", "operators", lambda e: e.vault.operator_mount, "operators log in at Vault's auth mount"),
)


def _of(environment: Environment, name: str) -> str:
    """Return a binding of the deployer as one text, empty where there is none; claims as `name=value`."""
    value: str | tuple[tuple[str, str], ...] = getattr(environment.deployer, name, "")
    return value if isinstance(value, str) else ", ".join("=".join(claim) for claim in value)


def _people(environment: Environment) -> tuple[str, str]:
    """Return the operators' groups and their IAM principal, empty where nobody is bound."""
    operator = environment.operator
    return ("", "") if operator is None else (", ".join(operator.groups), operator.aws_principal)


def _page(approvals: ApprovalsBinding | None) -> str:
    """Return where the identity provider sends approvers' browsers, and as whose login.

    Empty for no page, and for one of the approver's own machine: nobody else waits there.
    """
    page = approvals.page if approvals else None
    if page is None or urlsplit(page.url).hostname in LOOPBACK:
        return ""
    return f"{page.callback}, as {page.client_id}"


def read_facts(environment: Environment) -> tuple[tuple[str, str], ...]:
    """Return each fact's name and its value in `environment`, in the table's order."""
    return tuple((fact.name, fact.read(environment)) for fact in FACTS)
