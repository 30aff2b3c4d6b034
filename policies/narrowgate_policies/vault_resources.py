"""From the resources of Vault and OpenBao (provider `vault`) to facts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from narrowgate.rules.facts import (
    Fact,
    VaultAudit,
    VaultAuthMount,
    VaultAuthRole,
    VaultAuthSettings,
    VaultEntity,
    VaultEntityAlias,
    VaultGroup,
    VaultPolicy,
    VaultSecretRole,
    VaultStoredSecret,
    VaultToken,
    VaultWrite,
)
from narrowgate_policies.properties import UNKNOWN, holds_unknown, snake_case
from narrowgate_policies.resource import Resource

Reader = Callable[[Resource], Iterator[Fact]]

ANY_PATH = "it may grant any path"
ANY_MOUNT = "the role may stand on any mount"
ANY_MEMBER = "the policies may flow to anybody"


def read_policy(resource: Resource) -> Iterator[Fact]:
    """Read vault:index/policy:Policy."""
    text = resource.document("policy", ANY_PATH)
    if text is not None:
        yield VaultPolicy(at=resource.urn, name=resource.text("name", resource.urn), text=text)


@dataclass(frozen=True, slots=True)
class Login:
    """How a resource that lets somebody log in is spelled: the `method`, and where mount and name stand."""

    method: str
    mount: str = "backend"
    name: str = "roleName"
    default_mount: str = ""

    def __call__(self, resource: Resource) -> Iterator[Fact]:
        """Read the resource."""
        mount = resource.reference(self.mount, ANY_MOUNT) or self.default_mount or self.method
        settings = resource.settings(_api_name, without=frozenset({self.mount, self.name}))
        yield VaultAuthRole(
            at=resource.urn,
            method=_method(self.method, settings),
            mount=_without_auth(mount),
            name=resource.text(self.name, resource.urn),
            settings=settings,
            unknown=frozenset(resource.left_out),
        )


@dataclass(frozen=True, slots=True)
class Minting:
    """How a secrets engine's role is spelled: its `engine`, where mount and name stand, and the paths that mint."""

    engine: str
    paths: tuple[str, ...]
    mount: str = "backend"
    name: str = "name"
    default_mount: str = ""
    static: bool = False

    def __call__(self, resource: Resource) -> Iterator[Fact]:
        """Read the resource."""
        mount = (resource.reference(self.mount, ANY_MOUNT) or self.default_mount or self.engine).strip("/")
        name = resource.text(self.name, resource.urn)
        yield VaultSecretRole(
            at=resource.urn,
            engine=self.engine,
            mount=mount,
            name=name,
            credentials=tuple(f"{mount}/{path}/{name}" for path in self.paths),
            settings=resource.settings(snake_case, without=frozenset({self.mount, self.name})),
            static=self.static,
            unknown=frozenset(resource.left_out),
        )


def read_auth_mount(method: str) -> Reader:
    """Return a reader of an auth mount; an empty `method` stands in the resource's own `type`."""

    def read(resource: Resource) -> Iterator[Fact]:
        kind = method or resource.text("type", "unknown")
        path = resource.text("path") or resource.text("backend") or kind
        settings = resource.settings(snake_case, without=frozenset({"path"}))
        yield VaultAuthMount(
            at=resource.urn,
            path=_without_auth(path),
            method=kind,
            settings=settings,
            unknown=frozenset(resource.left_out),
        )

    return read


def read_auth_settings(method: str) -> Reader:
    """Return a reader of an auth mount's settings, where the SDK has them apart from the mount."""

    def read(resource: Resource) -> Iterator[Fact]:
        mount = resource.reference("backend", ANY_MOUNT) or method
        yield VaultAuthSettings(
            at=resource.urn,
            path=_without_auth(mount),
            method=method,
            settings=resource.settings(snake_case, without=frozenset({"backend"})),
            unknown=frozenset(resource.left_out),
        )

    return read


def read_entity(resource: Resource) -> Iterator[Fact]:
    """Read vault:identity/entity:Entity."""
    policies = tuple(resource.references("policies", ANY_PATH))
    yield VaultEntity(at=resource.urn, name=resource.text("name", resource.urn), policies=policies)


def read_entity_policies(resource: Resource) -> Iterator[Fact]:
    """Read vault:identity/entityPolicies:EntityPolicies."""
    policies = tuple(resource.references("policies", ANY_PATH))
    entity = resource.text("entityName") or resource.text("entityId", resource.urn)
    yield VaultEntity(at=resource.urn, name=entity, policies=policies)


def read_entity_alias(resource: Resource) -> Iterator[Fact]:
    """Read vault:identity/entityAlias:EntityAlias."""
    entity = resource.reference("canonicalId", "two logins may become one entity")
    mount = resource.reference("mountAccessor", ANY_MOUNT)
    if entity is not None:
        name = resource.text("name", resource.urn)
        yield VaultEntityAlias(at=resource.urn, entity=entity, mount=mount or resource.urn, name=name)


def read_group(resource: Resource) -> Iterator[Fact]:
    """Read vault:identity/group:Group and groupPolicies:GroupPolicies."""
    name = resource.text("name") or resource.text("groupName") or resource.text("groupId", resource.urn)
    policies = tuple(resource.references("policies", ANY_PATH))
    yield VaultGroup(at=resource.urn, name=name, policies=policies, kind=resource.text("type", "internal"))


def read_token(resource: Resource) -> Iterator[Fact]:
    """Read vault:index/token:Token."""
    policies = tuple(resource.references("policies", ANY_PATH))
    yield VaultToken(at=resource.urn, policies=policies, settings=resource.settings(snake_case))


def read_stored_secret(resource: Resource) -> Iterator[Fact]:
    """Read a resource that stores a value: vault:generic/secret, kv/secret, kv/secretV2."""
    path = resource.text("path") or f"{resource.text('mount', 'kv')}/{resource.text('name', resource.urn)}"
    yield VaultStoredSecret(at=resource.urn, path=path)


def read_audit(resource: Resource) -> Iterator[Fact]:
    """Read vault:index/audit:Audit."""
    kind = resource.text("type", "unknown")
    options = resource.get("options", {})
    if holds_unknown(options):
        resource.known_document(UNKNOWN, f"options of {resource.type}", "the log may go nowhere")
        return
    options = {**options, **({"local": True} if resource.get("local") else {})}
    yield VaultAudit(at=resource.urn, path=resource.text("path", kind).strip("/"), kind=kind, options=options)


def read_endpoint(resource: Resource) -> Iterator[Fact]:
    """Read vault:generic/endpoint:Endpoint, a raw write: what it writes is told by its path."""
    path = resource.reference("path", "it may write anything")
    body = resource.document("dataJson", "it may write anything")
    if path is None or body is None:
        return
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        resource.known_document(UNKNOWN, f"dataJson of {resource.type}", "it is no JSON object")
        return
    path = path.strip("/").removeprefix("v1/")
    for pattern, read in _WRITES:
        match = pattern.fullmatch(path)
        if match:
            yield read(resource.urn, match.groupdict(), data)
            return
    if path.split("/")[0] in {"sys", "auth", "identity"}:
        resource.known_document(UNKNOWN, f"what a write to {path} grants", "no rule knows this path")
    else:
        yield VaultWrite(at=resource.urn, path=path, data=data)


def _written_policy(at: str, match: Mapping[str, str], data: Mapping[str, Any]) -> Fact:
    return VaultPolicy(at=at, name=match["name"], text=str(data.get("policy") or data.get("rules") or ""))


def _written_login(at: str, match: Mapping[str, str], data: Mapping[str, Any]) -> Fact:
    method = match["mount"].rsplit("/", 1)[-1]
    if "bound_claims" in data or "user_claim" in data:
        method = "jwt"
    elif "bound_service_account_names" in data:
        method = "kubernetes"
    return VaultAuthRole(at=at, method=method, mount=match["mount"], name=match["name"], settings=dict(data))


def _written_role(at: str, match: Mapping[str, str], data: Mapping[str, Any]) -> Fact:
    mount, name = match["mount"], match["name"]
    engine = "aws" if "credential_type" in data else "database" if "creation_statements" in data else "unknown"
    minting = {"aws": ("sts", "creds")}.get(engine, ("creds",))
    paths = tuple(f"{mount}/{path}/{name}" for path in minting)
    return VaultSecretRole(at=at, engine=engine, mount=mount, name=name, credentials=paths, settings=dict(data))


def _written_group(at: str, match: Mapping[str, str], data: Mapping[str, Any]) -> Fact:
    return VaultGroup(at=at, name=match["name"], policies=tuple(data.get("policies") or ()))


def _written_entity(at: str, match: Mapping[str, str], data: Mapping[str, Any]) -> Fact:
    return VaultEntity(at=at, name=match["name"], policies=tuple(data.get("policies") or ()))


def _written_token_role(at: str, match: Mapping[str, str], data: Mapping[str, Any]) -> Fact:
    return VaultAuthRole(at=at, method="token", mount="token", name=match["name"], settings=dict(data))


_WRITES: tuple[tuple[re.Pattern[str], Callable[[str, Mapping[str, str], Mapping[str, Any]], Fact]], ...] = (
    (re.compile(r"sys/polic(?:y|ies/acl)/(?P<name>.+)"), _written_policy),
    (re.compile(r"auth/token/roles/(?P<name>[^/]+)"), _written_token_role),
    (re.compile(r"auth/(?P<mount>.+)/(?:role|user|users|map/teams|groups)/(?P<name>[^/]+)"), _written_login),
    (re.compile(r"identity/group/name/(?P<name>.+)"), _written_group),
    (re.compile(r"identity/entity/name/(?P<name>.+)"), _written_entity),
    (re.compile(r"(?P<mount>(?!sys/|auth/|identity/).+)/roles?/(?P<name>[^/]+)"), _written_role),
)
"""What a raw write makes, by its path; the first that fits counts."""


def _method(method: str, settings: Mapping[str, Any]) -> str:
    return str(settings.get("role_type", method)) if method == "jwt" else method


def _api_name(name: str) -> str:
    """Return a login's property as Vault's API calls it; the provider says some lists in the plural."""
    snake = snake_case(name)
    return "bound_iam_principal_arn" if snake == "bound_iam_principal_arns" else snake


def _without_auth(path: str) -> str:
    return path.strip("/").removeprefix("auth/")


VAULT_READERS: Mapping[str, Reader] = {
    "vault:index/policy:Policy": read_policy,
    "vault:index/audit:Audit": read_audit,
    "vault:generic/endpoint:Endpoint": read_endpoint,
    "vault:generic/secret:Secret": read_stored_secret,
    "vault:kv/secret:Secret": read_stored_secret,
    "vault:kv/secretV2:SecretV2": read_stored_secret,
    "vault:index/token:Token": read_token,
    "vault:identity/entity:Entity": read_entity,
    "vault:identity/entityPolicies:EntityPolicies": read_entity_policies,
    "vault:identity/entityAlias:EntityAlias": read_entity_alias,
    "vault:identity/group:Group": read_group,
    "vault:identity/groupPolicies:GroupPolicies": read_group,
    # logins
    "vault:jwt/authBackendRole:AuthBackendRole": Login("jwt"),
    "vault:appRole/authBackendRole:AuthBackendRole": Login("approle"),
    "vault:kubernetes/authBackendRole:AuthBackendRole": Login("kubernetes"),
    "vault:aws/authBackendRole:AuthBackendRole": Login("aws", name="role"),
    "vault:azure/authBackendRole:AuthBackendRole": Login("azure", name="role"),
    "vault:gcp/authBackendRole:AuthBackendRole": Login("gcp", name="role"),
    "vault:cf/authBackendRole:AuthBackendRole": Login("cf", mount="mount", name="name"),
    "vault:spiffe/authBackendRole:AuthBackendRole": Login("spiffe", mount="mount", name="name"),
    "vault:saml/authBackendRole:AuthBackendRole": Login("saml", mount="path", name="name"),
    "vault:alicloud/authBackendRole:AuthBackendRole": Login("alicloud", name="role"),
    "vault:index/certAuthBackendRole:CertAuthBackendRole": Login("cert", name="name"),
    "vault:index/ociAuthBackendRole:OciAuthBackendRole": Login("oci", name="name"),
    "vault:index/scepAuthBackendRole:ScepAuthBackendRole": Login("scep", name="name"),
    "vault:index/userpassAuthBackendUser:UserpassAuthBackendUser": Login("userpass", "mount", "username"),
    "vault:index/kerberosAuthBackendGroup:KerberosAuthBackendGroup": Login("kerberos", "mount", "name"),
    "vault:ldap/authBackendUser:AuthBackendUser": Login("ldap", name="username"),
    "vault:ldap/authBackendGroup:AuthBackendGroup": Login("ldap", name="groupname"),
    "vault:okta/authBackendUser:AuthBackendUser": Login("okta", "path", "username"),
    "vault:okta/authBackendGroup:AuthBackendGroup": Login("okta", "path", "groupName"),
    "vault:github/team:Team": Login("github", name="team"),
    "vault:github/user:User": Login("github", name="user"),
    "vault:radius/authBackendUser:AuthBackendUser": Login("radius", "mount", "username"),
    "vault:tokenauth/authBackendRole:AuthBackendRole": Login("token", "unusedMount", "roleName"),
    # auth mounts
    "vault:index/authBackend:AuthBackend": read_auth_mount(""),
    "vault:jwt/authBackend:AuthBackend": read_auth_mount("jwt"),
    "vault:ldap/authBackend:AuthBackend": read_auth_mount("ldap"),
    "vault:github/authBackend:AuthBackend": read_auth_mount("github"),
    "vault:okta/authBackend:AuthBackend": read_auth_mount("okta"),
    "vault:gcp/authBackend:AuthBackend": read_auth_mount("gcp"),
    "vault:saml/authBackend:AuthBackend": read_auth_mount("saml"),
    "vault:aws/authBackendClient:AuthBackendClient": read_auth_settings("aws"),
    "vault:kubernetes/authBackendConfig:AuthBackendConfig": read_auth_settings("kubernetes"),
    # what mints credentials
    "vault:aws/secretBackendRole:SecretBackendRole": Minting("aws", ("sts", "creds")),
    "vault:aws/secretBackendStaticRole:SecretBackendStaticRole": Minting("aws", ("static-creds",), static=True),
    "vault:database/secretBackendRole:SecretBackendRole": Minting("database", ("creds",)),
    "vault:database/secretBackendStaticRole:SecretBackendStaticRole": Minting(
        "database", ("static-creds",), static=True
    ),
    "vault:identity/oidcRole:OidcRole": Minting("identity", ("oidc/token",), "unusedMount", default_mount="identity"),
    "vault:pkiSecret/secretBackendRole:SecretBackendRole": Minting("pki", ("issue", "sign")),
    "vault:ssh/secretBackendRole:SecretBackendRole": Minting("ssh", ("sign", "creds", "issue")),
    "vault:kubernetes/secretBackendRole:SecretBackendRole": Minting("kubernetes", ("creds",)),
    "vault:consul/secretBackendRole:SecretBackendRole": Minting("consul", ("creds",)),
    "vault:rabbitMq/secretBackendRole:SecretBackendRole": Minting("rabbitmq", ("creds",)),
    "vault:azure/backendRole:BackendRole": Minting("azure", ("creds",), name="role"),
    "vault:gcp/secretRoleset:SecretRoleset": Minting("gcp", ("roleset",), name="roleset"),
    "vault:gcp/secretStaticAccount:SecretStaticAccount": Minting(
        "gcp", ("static-account",), name="staticAccount", static=True
    ),
    "vault:gcp/secretImpersonatedAccount:SecretImpersonatedAccount": Minting(
        "gcp", ("impersonated-account",), name="impersonatedAccount"
    ),
    "vault:index/nomadSecretRole:NomadSecretRole": Minting("nomad", ("creds",), name="role"),
    "vault:terraformcloud/secretRole:SecretRole": Minting("terraform", ("creds",)),
    "vault:mongodbatlas/secretRole:SecretRole": Minting("mongodbatlas", ("creds",), "mount"),
    "vault:ldap/secretBackendDynamicRole:SecretBackendDynamicRole": Minting("ldap", ("creds",), "mount", "roleName"),
    "vault:ldap/secretBackendStaticRole:SecretBackendStaticRole": Minting(
        "ldap", ("static-cred",), "mount", "roleName", static=True
    ),
    "vault:ad/secretRole:SecretRole": Minting("ad", ("creds",), name="role", static=True),
}
