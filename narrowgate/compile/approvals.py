"""The gate's foundation: where drafts, cases, decisions and records stand, who logs in as what, and what they may do.

Approvers and each tool's executor are system identities: their policies are the same whatever workflows there are, so
a deploy of workflows can't change them. This module must not look at any workflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.documents import ApprovalsDocuments, AuthMount, AuthRole, GateIdentity, VaultPolicy
from narrowgate.compile.drafts import CASES, DECISIONS, DRAFTS, HELD, RECORDS
from narrowgate.compile.gate import APPROVER_ROLE, GROUP_PREFIX, PAGE_ROLE, approver_audience, executor_login
from narrowgate.compile.hcl import PathRule, render_policy
from narrowgate.compile.identity import LEEWAY_SECONDS, trust_issuer
from narrowgate.compile.ledger import agent_rules, compile_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.plan import ApprovalsBinding, Environment, PageBinding

# A person looks at a case and decides; an executor logs in anew before its login ends.
APPROVER_SECONDS: Final = 3600
EXECUTOR_SECONDS: Final = 3600
# All that sign by a key pair: by discovery alone Vault would take RS256 and nothing else.
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")

STORE_DESCRIPTIONS: Final[Mapping[str, str]] = {
    DRAFTS: "What agents propose: created by agents, rewritten by nobody",
    CASES: "What executors made of drafts, for people to decide on: created once",
    DECISIONS: "What people decided: created once, each by its own author",
    RECORDS: "What came of requests: created once by executors",
    HELD: "Tokens of requests that wait for approvals; only executors read them",
}
_SELF: Final = (PathRule("auth/token/revoke-self", ("update",), "log out"),)
_PEOPLE: Final = (
    PathRule("identity/entity/id/+", ("read",), "who is behind an entity"),
    PathRule("identity/group/id/+", ("read",), "which groups they are in"),
    PathRule("sys/control-group/request", ("update",), "who authorized a request that Vault holds"),
)


def compile_approvals(environment: Environment) -> ApprovalsDocuments | None:
    """Return the gate's foundation; None where the environment does not say who may approve."""
    binding = environment.approvals
    if binding is None:
        return None
    trust = trust_issuer(environment)
    aws_mount = names.gated_mount(environment.vault.aws_mount) if environment.aws.gated_broker_arn else None
    return ApprovalsDocuments(
        stores=STORE_DESCRIPTIONS,
        approvers_mount=AuthMount(
            names.APPROVERS_MOUNT, "jwt", trust if binding.page is None else _trust_provider(environment, binding.page)
        ),
        executors_mount=AuthMount(names.EXECUTORS_MOUNT, "jwt", trust),
        groups={f"{GROUP_PREFIX}{group}": group for group in binding.groups},
        approver=(approver := _approver(environment, binding)),
        page_login=None if binding.page is None else _page_login(approver.login, binding.page),
        executors=tuple(_executor(environment, bound.tool) for bound in environment.tools),
        database_mount=names.gated_mount(environment.vault.database_mount),
        aws_mount=aws_mount,
    )


def _trust_provider(environment: Environment, page: PageBinding) -> dict[str, Any]:
    """Return the settings of a mount at which people log in by a browser too: Vault takes the keys by discovery."""
    return {
        "bound_issuer": environment.identity.issuer,
        "jwt_supported_algs": list(ALGORITHMS),
        "oidc_client_id": page.client_id,
        "oidc_discovery_url": page.discovery_url,
    }


def _page_login(login: AuthRole, page: PageBinding) -> AuthRole:
    """Return the approvers' login through the page: the same people and policy, and one address to come back to."""
    settings = {
        **login.settings,
        "allowed_redirect_uris": [page.callback],
        "bound_audiences": [page.client_id],
        "role_type": "oidc",
        **({"oidc_scopes": list(page.scopes)} if page.scopes else {}),
    }
    return AuthRole(login.mount, PAGE_ROLE, dict(sorted(settings.items())))


def _approver(environment: Environment, binding: ApprovalsBinding) -> GateIdentity:
    rules = [
        *_SELF,
        *_PEOPLE,
        PathRule("auth/token/lookup-self", ("read",), "see how long the login lasts"),
        PathRule(f"{CASES}/data/+/+", ("read",), "read a case"),
        PathRule(f"{CASES}/metadata/+", ("list",), "find cases"),
        PathRule(f"{HELD}/metadata/+/+", ("list",), "see which requests are open; never their tokens"),
        PathRule(f"{DECISIONS}/data/+/+/+", ("read",), "read what others decided"),
        PathRule(f"{DECISIONS}/data/_stops/+", ("read",), "read emergency stops"),
        PathRule(f"{DECISIONS}/metadata/+/+", ("list",), "find decisions"),
        PathRule(f"{DECISIONS}/metadata/_stops", ("list",), "find emergency stops"),
        PathRule(f"{DECISIONS}/data/+/+", ("create", "read"), "decide, once, in one's own name", own_entity=True),
        PathRule(f"{DECISIONS}/data/_stops", ("create", "read"), "stop everything, in one's own name", own_entity=True),
        PathRule(f"{RECORDS}/data/+/+/claim", ("read",), "see that it is being executed"),
        PathRule(f"{RECORDS}/data/+/+/outcome", ("read",), "see what came of it"),
        PathRule("sys/control-group/authorize", ("update",), "authorize a request that Vault holds"),
    ]
    identity = environment.identity
    settings: dict[str, Any] = {
        "bound_audiences": [approver_audience(environment)],
        "bound_claims": {identity.groups_claim: list(binding.groups)},
        "bound_claims_type": "string",
        "clock_skew_leeway": LEEWAY_SECONDS,
        "expiration_leeway": LEEWAY_SECONDS,
        "groups_claim": identity.groups_claim,
        "not_before_leeway": LEEWAY_SECONDS,
        "role_type": "jwt",
        "token_max_ttl": APPROVER_SECONDS,
        "token_no_default_policy": True,
        "token_policies": [names.APPROVER_POLICY],
        "token_ttl": APPROVER_SECONDS,
        "token_type": "service",
        "user_claim": identity.user_claim,
        "user_claim_json_pointer": True,
    }
    return GateIdentity(
        kind=names.APPROVER,
        policy=VaultPolicy(
            names.APPROVER_POLICY,
            render_policy("approvers: read cases, decide, and no credential", rules, patterns=True),
        ),
        login=AuthRole(names.APPROVERS_MOUNT, APPROVER_ROLE, settings),
    )


def _reader_rules(environment: Environment, tool: str) -> Iterator[PathRule]:
    """Yield where a tool's executor gets the credentials by which it reads: named after it, whatever the backend."""
    vault = environment.vault
    for path in (f"{vault.aws_mount}/sts", f"{vault.database_mount}/creds", "identity/oidc/token"):
        what = "read the target as it is, by a login that can do nothing else"
        yield PathRule(f"{path}/{names.EXECUTOR}.{tool}.*", ("read",), what)


def _executor(environment: Environment, tool: str) -> GateIdentity:
    """Return a tool's executor: it makes cases of that tool's drafts and holds their requests, and approves nothing."""
    policy = names.executor_policy_name(tool)
    rules = [
        *_SELF,
        *_PEOPLE,
        PathRule(f"{environment.vault.revocations_mount}/data/+", ("read",), "see whose requests were revoked"),
        PathRule(f"{DRAFTS}/metadata/+", ("list",), "find whose drafts there are"),
        PathRule(f"{DRAFTS}/metadata/+/+", ("list",), "find drafts"),
        PathRule(f"{DRAFTS}/data/+/+/{tool}.*", ("read",), "read this tool's drafts"),
        PathRule(f"{CASES}/data/+/+", ("create", "read"), "make a case of a draft, once"),
        PathRule(f"{DECISIONS}/data/+/+/+", ("read",), "read what people decided"),
        PathRule(f"{DECISIONS}/data/_stops/+", ("read",), "read emergency stops"),
        PathRule(f"{DECISIONS}/metadata/+", ("list",), "find which requests people decided on"),
        PathRule(f"{DECISIONS}/metadata/+/+", ("list",), "find decisions"),
        PathRule(f"{DECISIONS}/metadata/_stops", ("list",), "find emergency stops"),
        PathRule(f"{RECORDS}/data/+/+/claim", ("create", "read"), "claim a request, once"),
        PathRule(f"{RECORDS}/data/+/+/outcome", ("create", "read"), "record what came of it, once"),
        PathRule(f"{RECORDS}/data/_answers/+/+/+", ("create", "read"), "tell its agent what came of it, once"),
        PathRule(f"{RECORDS}/metadata/_answers/+/+", ("list",), "find which drafts have ended"),
        *agent_rules(compile_ledger(names.executor_login_name(tool))),
        PathRule(f"{HELD}/data/+/{tool}/+", ("create", "read"), "keep this tool's held requests"),
        # Vault lists a folder by its name and a slash, which `+/<tool>` does not match.
        PathRule(f"{HELD}/metadata/+/{tool}/*", ("delete", "list"), "find them, and forget one that is over"),
        *_reader_rules(environment, tool),
    ]
    settings = executor_login(tool, environment, policy, EXECUTOR_SECONDS)
    return GateIdentity(
        ledger=compile_ledger(names.executor_login_name(tool)),
        kind=names.EXECUTOR,
        policy=VaultPolicy(policy, render_policy(f"the executor of the tool {tool}", rules, patterns=True)),
        login=AuthRole(names.EXECUTORS_MOUNT, names.executor_login_name(tool), settings),
    )
