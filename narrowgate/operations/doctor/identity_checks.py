"""Checks of who is believed: the identity provider's keys and claims, and each system identity's login and policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jwt
import requests
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from narrowgate.access import vault as acl
from narrowgate.operations.doctor.patient import SickError, SkippedError
from narrowgate.operations.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.compile.documents import AuthMount, AuthRole, VaultPolicy
    from narrowgate.operations.doctor.patient import Patient

DEPLOY_FOUNDATION: Final = "Deploy the environment's foundation as an administrator, by `pulumi up --refresh`."
SECONDS: Final = 10
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA")


def check_keys(patient: Patient) -> str:
    """Look whether the identity provider's keys can be had."""
    return f"{len(_read_keys(patient))} keys of {patient.environment.identity.issuer}"


def _read_keys(patient: Patient) -> list[Any]:
    identity = patient.environment.identity
    if identity.jwks_url is None:
        try:
            return [load_pem_public_key(key.encode()) for key in identity.public_keys]
        except ValueError:
            raise SickError("A public key of the identity provider is none.", hint="Give each as PEM.") from None
    try:
        answer = requests.get(identity.jwks_url, timeout=SECONDS)
        answer.raise_for_status()
        found = [key.key for key in jwt.PyJWKSet.from_dict(answer.json()).keys]
    except (requests.RequestException, jwt.PyJWTError, ValueError) as error:
        kind = type(error).__name__
        raise OperationError(f"{identity.jwks_url} gives no keys to this machine ({kind}).") from None
    return found


def check_claims(patient: Patient) -> str:
    """Look whether a token of the identity provider says user, agent and groups where the bindings look for them."""
    if patient.token is None:
        raise SkippedError("give an agent's token by --token FILE")
    claims, identity = _verify(patient), patient.environment.identity
    for what, pointer in (("user", identity.user_claim), ("agent", identity.agent_claim)):
        value = _find(claims, pointer)
        if not isinstance(value, str) or not value:
            raise SickError(
                f"The claim {pointer} ({what}) is no single text: {type(value).__name__}.",
                hint="Have the identity provider set it, or bind where it stands. A list would be several at once.",
            )
    if not str(_find(claims, identity.agent_claim)).startswith(identity.agent_prefix):
        raise SickError(f"The agent's name does not begin with {identity.agent_prefix}.", hint="Bind `agent_prefix`.")
    groups = _find(claims, identity.groups_claim)
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise SickError(f"The claim {identity.groups_claim} (groups) is no list of texts.", hint="Bind `groups_claim`.")
    prefix = f"{identity.audience_prefix}:{patient.environment.name}:"
    audiences = claims["aud"] if isinstance(claims.get("aud"), list) else [claims.get("aud")]
    if len(audiences) != 1 or not str(audiences[0]).startswith(prefix):
        raise SickError(f"The audience is not one that begins with {prefix}.", hint="Ask for the manifest's audience.")
    return f"user, agent and {len(groups)} groups, for {audiences[0]}"


def _verify(patient: Patient) -> dict[str, Any]:
    options: Any = {"verify_aud": False, "require": ["exp", "iat", "iss", "aud"]}
    reasons = set()
    for key in _read_keys(patient):
        try:
            claims: dict[str, Any] = jwt.decode(
                str(patient.token), key, list(ALGORITHMS), options=options, issuer=patient.environment.identity.issuer
            )
        except (jwt.PyJWTError, TypeError) as error:
            reasons.add(type(error).__name__)
            continue
        return claims
    raise SickError(
        f"The token is not good by any key and issuer that is bound ({', '.join(sorted(reasons))}).",
        hint="Compare its `iss` and key with the environment's `identity`.",
    )


def _find(claims: Mapping[str, Any], pointer: str) -> Any:  # noqa: ANN401 - a claim's value
    found: Any = claims
    for part in pointer.strip("/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _system(patient: Patient) -> Iterator[tuple[AuthMount, VaultPolicy, AuthRole]]:
    """Yield each system identity's auth mount, Vault policy and login, as compiled."""
    documents = patient.documents
    if (ci := documents.deployer) is not None:
        yield ci.auth_mount, ci.deployer.policy, ci.deployer.auth_role
        yield ci.auth_mount, ci.preview.policy, ci.preview.auth_role
    if (people := documents.operator) is not None:
        yield people.auth_mount, people.operator.policy, people.operator.auth_role
    if (gate := documents.approvals) is not None:
        yield gate.approvers_mount, gate.approver.policy, gate.approver.login
        yield from ((gate.executors_mount, executor.policy, executor.login) for executor in gate.executors)


def check_policies(patient: Patient) -> str:
    """Look whether each system identity's Vault policy grants what was compiled: no more, no less."""
    for _, policy, _ in _system(patient):
        name = policy.name
        answer = patient.vault.read(f"sys/policies/acl/{name}")
        if answer is None:
            raise SickError(f"There is no Vault policy {name}.", hint=DEPLOY_FOUNDATION)
        found, wanted = acl.parse(str(answer["data"]["policy"])), acl.parse(policy.text)
        if acl.compare([wanted], [found]).no_new_access is not True:
            raise SickError(f"The Vault policy {name} grants more than it should.", hint=DEPLOY_FOUNDATION)
        if acl.compare([found], [wanted]).no_new_access is not True:
            raise SickError(f"The Vault policy {name} does not grant all that it must.", hint=DEPLOY_FOUNDATION)
    return ", ".join(policy.name for _, policy, _ in _system(patient)) or "none are bound"


def check_logins(patient: Patient) -> str:
    """Look whether each system identity's login believes whom the environment names, and nobody else."""
    for mount, _, login in _system(patient):
        for path, wanted in (
            (f"auth/{mount.path}/config", mount.config),
            (f"auth/{mount.path}/role/{login.name}", login.settings),
        ):
            answer = patient.vault.read(path)
            if answer is None:
                raise SickError(f"{path} is not there.", hint=DEPLOY_FOUNDATION)
            found = answer["data"]
            if wrong := sorted(key for key, value in wanted.items() if _plain(found.get(key)) != _plain(value)):
                raise SickError(f"{path} is not as compiled: {', '.join(wrong)}.", hint=DEPLOY_FOUNDATION)
    return ", ".join(f"{login.mount}/{login.name}" for _, _, login in _system(patient)) or "none are bound"


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON, or frozen JSON
    """Return a value as both sides spell it: Vault gives lists back in an order of its own."""
    if hasattr(value, "items"):
        # one accepted value of a claim may be a text, or a list of one
        return {key: _plain([inner] if isinstance(inner, str) else inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return sorted(str(inner).strip() for inner in value)
    return value.strip() if isinstance(value, str) else value
