"""`system-identity-fixed`: broker, deployer, preview, operator and trail are what the table says, and nothing more.

Source: the permission model (least privilege, separation of duties): whoever deploys access must not be able to widen
their own, and a system identity has no exception from the rules but a ceiling (`system_identities`). What its policies
allow is compared with the ceiling, so no spelling gets through; so are its trust and its login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.access import iam, vault
from narrowgate.rules.estate import Identity
from narrowgate.rules.facts import IamIdentity, VaultAuthRole, VaultPolicy
from narrowgate.rules.facts import names as names_of
from narrowgate.rules.logins import bound_claims
from narrowgate.rules.rule import Rule, report
from narrowgate.rules.system_identities import Ceiling, ceilings_of, find_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "system-identity-fixed"


def judge(subject: Identity | IamIdentity | VaultPolicy | VaultAuthRole, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each way in which a system identity is more than the table says."""
    kind = find_kind(subject, settings)
    if kind is None:
        return
    ceilings = ceilings_of(settings.bindings) if settings.bindings is not None else ()
    ceiling = next((each for each in ceilings if each.kind == kind), None)
    if ceiling is None:
        yield report(NAME, subject)(
            f"the {kind} can't be judged: the environment's bindings of it are not known",
            detail="Whatever bears the name of a system identity could do anything.",
            fix="Bind it in the environment's stack file, where the policy pack finds it; else name it differently.",
        )
    elif isinstance(subject, Identity):
        yield from _judge_policies(subject, ceiling, settings)
    elif isinstance(subject, IamIdentity):
        yield from _judge_role(subject, ceiling)
    elif isinstance(subject, VaultPolicy):
        yield from _judge_paths(subject, ceiling)
    else:
        yield from _judge_login(subject, ceiling)


def _judge_policies(subject: Identity, ceiling: Ceiling, settings: Settings) -> Iterator[Finding]:
    found = report(NAME, subject)
    texts = {arn: settings.managed_policies.get(arn) for arn in subject.missing}
    for arn in [arn for arn, text in texts.items() if text is None]:
        yield found(
            f"the {ceiling.kind} has the managed policy {arn}, whose text is not at hand",
            detail="It may allow anything.",
            fix=f"Detach {arn}.",
        )
    documents = [*subject.documents, *(text for text in texts.values() if text is not None)]
    if not documents:
        return
    answer = iam.compare(ceiling.allows, documents)
    if answer.no_new_access is not True:
        request = answer.witness
        call = f"call {request.action} on {request.resource}" if request else f"do more than is known: {answer.reason}"
        yield found(
            f"the {ceiling.kind} may do more than the {ceiling.kind} of an environment: {call}",
            detail=f"Who takes over CI's job or Vault can {call}.",
            fix="Take the statement out; what a system identity may do is one table in narrowgate.rules.",
        )


def _judge_role(subject: IamIdentity, ceiling: Ceiling) -> Iterator[Finding]:
    found = report(NAME, subject)
    if subject.path != ceiling.path:
        yield found(
            f"the {ceiling.kind} stands at {subject.path}, not {ceiling.path}",
            detail="Under a path of tools' roles the deployer could change it.",
            fix=f"Set its path to {ceiling.path}.",
        )
    if subject.trust is None or not ceiling.trusts:
        return
    answer = iam.compare(ceiling.trusts, subject.trust)
    if answer.no_new_access is not True:
        context = answer.witness.context if answer.witness else {}
        who = " and ".join(f"{key} = {value}" for key, value in sorted(context.items())) or answer.reason or "anybody"
        yield found(
            f"the {ceiling.kind} lets in somebody else than the environment names",
            detail=f"It is assumed by a token with {who}.",
            fix="Trust only what the environment binds: issuer, audience and subject by StringEquals, or a principal.",
        )


def _judge_paths(subject: VaultPolicy, ceiling: Ceiling) -> Iterator[Finding]:
    answer = vault.compare([vault.parse(ceiling.paths)], [vault.parse(subject.text)])
    if answer.no_new_access is not True:
        yield report(NAME, subject)(
            f"Vault policy {subject.name!r} grants more than the {ceiling.kind} may: {answer.reason}",
            detail=f"Who takes over the {ceiling.kind} has it too.",
            fix="Take the path out; what a system identity may do is one table in narrowgate.rules.",
        )


def _judge_login(subject: VaultAuthRole, ceiling: Ceiling) -> Iterator[Finding]:
    kind = subject.settings.get("role_type", subject.method)
    login = ceiling.browser_login if kind == "oidc" and ceiling.browser_login is not None else ceiling.login
    if login is None:
        return
    given = bound_claims(subject)
    wanted = {claim: (value,) if isinstance(value, str) else value for claim, value in login.claims}
    who = " and ".join(f"{claim} = {' or '.join(values)}" for claim, values in sorted(wanted.items()))
    audiences = tuple(subject.settings.get("bound_audiences") or ())
    wrong = {
        "is not at its own auth mount": subject.mount != login.mount,
        "has other policies too": subject.policies != (ceiling.policy,),
        "takes other audiences": audiences != (login.audience,),
        "does not bind whom the environment names": any(given.get(name) != wanted[name] for name in wanted),
        "takes patterns": subject.settings.get("bound_claims_type", "string") != "string",
        "is no login by a token": kind != ("oidc" if login.redirects else "jwt"),
        "sends its answer to other addresses": names_of(subject.settings.get("allowed_redirect_uris"))
        != login.redirects,
        "gives it Vault's default policy": subject.settings.get("token_no_default_policy") is not True,
    }
    for what in (what for what, is_wrong in wrong.items() if is_wrong):
        yield report(NAME, subject)(
            f"the login {subject.mount}/{subject.name} of the {ceiling.kind} {what}",
            detail=f"Somebody else than who has {who} can be the {ceiling.kind}, or it can do more.",
            fix=f"Bind audience {login.audience} and {who}, with the policy {ceiling.policy} alone.",
        )


RULE = Rule(
    NAME,
    "A system identity does what the table says, and nothing more.",
    (Identity, IamIdentity, VaultPolicy, VaultAuthRole),
    judge,
)
