"""All facts of a stack, joined: which texts make up an identity, and who uses which identity.

Facts arrive one resource at a time, as the engine registers them, so the estate grows and says after each addition
which *subjects* it touched; judging only those keeps a run linear in the number of resources. Facts are kept by the
place they stand at: the same resource registered again replaces what was known of it, so an estate that outlives a
preview is right for the update after it. This module joins; it must not judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from narrowgate.rules.facts import (
    BucketLog,
    BucketPrivacy,
    EncryptionKey,
    Fact,
    Foundation,
    IamAttachment,
    IamIdentity,
    IamManagedPolicy,
    IamPolicy,
    MetricAlarm,
    MetricFilter,
    Trail,
    TrailReference,
    VaultAudit,
    VaultAuthRole,
    VaultPolicy,
    VaultSecretRole,
    names,
)
from narrowgate.rules.minted_names import gated_use
from narrowgate.rules.usages import Usage, is_pattern, literal_start, pattern_covers, usages_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One IAM identity with all that is known to flow into it.

    `at` is the resource that was added last, hence the one to refuse. `documents` are the JSON texts of all its
    policies, `missing` the ARNs of attached policies whose text is not at hand, `boundary` the text of its
    permissions boundary where that is at hand. `fact` is None where only policies of the identity stand in the stack.
    """

    at: str
    kind: str
    name: str
    fact: IamIdentity | None
    documents: tuple[str, ...]
    missing: tuple[str, ...]
    boundary: str | None
    line: int = 1
    statement_lines: tuple[tuple[int, ...], ...] = ()

    @property
    def is_unattached(self) -> bool:
        """Tell whether this is a policy that stands by itself, as a boundary does: it grants nobody anything yet."""
        return self.kind == "policy"

    def line_of(self, document: int, statement: int) -> int:
        """Return the line of a statement of one of `documents`, both counted from 0; else the subject's own."""
        lines = self.statement_lines[document] if document < len(self.statement_lines) else ()
        return lines[statement] if statement < len(lines) else self.line

    @property
    def label(self) -> str:
        """Return how people call it: its kind and name."""
        return f"{self.kind} {self.name!r}" if self.name else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Something that stands for one identity (`kind`, `thing`) and its users; `at` is where the last one stands."""

    at: str
    kind: str
    thing: str
    users: tuple[str, ...]
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginToken:
    """What a login gets: the auth role, and the texts of all its policies that stand in the stack, by name.

    `at` is the resource that was added last. `gated` are the paths that mint gated credentials, `audits` the audit
    devices, as far as the stack makes them.
    """

    at: str
    role: VaultAuthRole
    policies: tuple[tuple[str, str], ...]
    gated: tuple[str, ...] = ()
    audits: tuple[str, ...] = ()
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLog:
    """All that a whole stack says of its audit trail; it is known only when every resource is.

    `at` is the foundation, else the first trail. `foundation` says that the stack makes an environment's foundation.
    """

    at: str
    line: int = 1
    foundation: bool = False
    trails: tuple[Trail, ...] = ()
    references: tuple[TrailReference, ...] = ()
    keys: tuple[EncryptionKey, ...] = ()
    privacy: tuple[BucketPrivacy, ...] = ()
    logs: tuple[BucketLog, ...] = ()
    filters: tuple[MetricFilter, ...] = ()
    alarms: tuple[MetricAlarm, ...] = ()


Subject = Fact | Identity | Sharing | LoginToken | AuditLog

_AUDIT_LOG: Final[dict[str, type[Fact]]] = {
    "trails": Trail,
    "references": TrailReference,
    "keys": EncryptionKey,
    "privacy": BucketPrivacy,
    "logs": BucketLog,
    "filters": MetricFilter,
    "alarms": MetricAlarm,
}

GATED_ROLE = re.compile(r"arn:[^:]*:iam::\d*:role/narrowgate/[^/]+/gated/.+")
"""The ARN of an IAM role whose credentials need an approval."""


class Estate:
    """The growing sum of a stack's facts."""

    def __init__(self) -> None:
        self._facts: dict[str, tuple[Fact, ...]] = {}
        self._holders: dict[tuple[str, str], dict[str, None]] = {}
        self._managed: dict[str, tuple[str, str]] = {}
        self._attached: dict[str, set[tuple[str, str]]] = {}
        self._used: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
        self._patterns: dict[str, dict[str, str]] = {}
        self._logins: dict[str, VaultAuthRole] = {}
        self._policies: dict[str, VaultPolicy] = {}
        self._holders_of_policy: dict[str, dict[str, None]] = {}
        self._gated: dict[str, str] = {}
        self._audits: dict[str, str] = {}

    def put(self, at: str, facts: Iterable[Fact]) -> list[Subject]:
        """Set what is known of the resource `at` and return every subject that this touches."""
        self._forget(at)
        known = tuple(facts)
        self._facts[at] = known
        identities: dict[tuple[str, str], int] = {}
        shared: dict[tuple[str, str], int] = {}
        for fact in known:
            for key in self._learn_identity(fact):
                identities.setdefault(key, fact.line)
            for usage in usages_of(fact):
                for key in self._learn_usage(at, usage):
                    shared.setdefault(key, fact.line)
        subjects: list[Subject] = list(known)
        subjects += [self.identity(*key, at=at, line=line) for key, line in identities.items()]
        subjects += [self._sharing(key, at, line) for key, line in shared.items()]
        logins: dict[str, int] = {}
        for fact in known:
            for login in self._learn_login(fact):
                logins.setdefault(login, fact.line)
        subjects += [self._token(login, at, line) for login, line in logins.items()]
        return subjects

    def identity(self, kind: str, name: str, *, at: str, line: int = 1) -> Identity:
        """Return the identity `kind`/`name` as far as it is known."""
        fact: IamIdentity | None = None
        documents: dict[str, tuple[int, ...]] = {}
        missing: list[str] = []
        for fact_ in self._facts_of(kind, name):
            match fact_:
                case IamIdentity():
                    fact = fact_
                case IamPolicy():
                    documents.setdefault(fact_.document, fact_.statement_lines)
                case IamManagedPolicy():
                    documents.setdefault(fact_.document, ())
                case IamAttachment():
                    text = self.managed_text(fact_.policy)
                    if text is None:
                        missing.append(fact_.policy)
                    else:
                        documents.setdefault(text, ())
        boundary = self.managed_text(fact.boundary) if fact and fact.boundary else None
        return Identity(
            at=at,
            kind=kind,
            name=name if not name.startswith(_ALONE) else "",
            fact=fact,
            documents=tuple(documents),
            missing=tuple(dict.fromkeys(missing)),
            boundary=boundary,
            line=line,
            statement_lines=tuple(documents.values()),
        )

    def managed_text(self, arn: str) -> str | None:
        """Return the JSON text of the customer-managed policy `arn` where it stands in this stack."""
        if ":iam::aws:" in arn:
            return None
        found = self._managed.get(arn.rsplit("/", 1)[-1])
        return found[1] if found else None

    def subjects(self) -> Iterator[Subject]:
        """Yield every subject once, as known now: facts, identities (each at its own place), sharings."""
        for facts in self._facts.values():
            yield from facts
        for (kind, name), places in self._holders.items():
            if not places:
                continue
            known = list(self._facts_of(kind, name))
            first = next((fact for fact in known if isinstance(fact, IamIdentity)), known[0])
            yield self.identity(kind, name, at=first.at, line=first.line)
        for key, users in self._used.items():
            if users:
                yield self._sharing(key, next(reversed(users))[0], 1)
        for login, role in self._logins.items():
            yield self._token(login, login, role.line)
        yield from self.whole()

    def whole(self) -> Iterator[AuditLog]:
        """Yield what only a whole stack can be judged by: its audit trail, where it makes one or must have one."""
        by_type: dict[type[Fact], list[Fact]] = {}
        for facts in self._facts.values():
            for fact in facts:
                by_type.setdefault(type(fact), []).append(fact)
        first = next((fact for kind in (Foundation, Trail) for fact in by_type.get(kind, ())), None)
        if first is None:
            return
        known: dict[str, Any] = {name: tuple(by_type.get(kind, ())) for name, kind in _AUDIT_LOG.items()}
        yield AuditLog(at=first.at, line=first.line, foundation=Foundation in by_type, **known)

    def _facts_of(self, kind: str, name: str) -> Iterator[Fact]:
        for at in self._holders.get((kind, name), {}):
            for fact in self._facts.get(at, ()):
                if (kind, name) in _identities(fact):
                    yield fact

    def _learn_identity(self, fact: Fact) -> list[tuple[str, str]]:
        touched = _identities(fact)
        for key in touched:
            self._holders.setdefault(key, {})[fact.at] = None
        if isinstance(fact, IamManagedPolicy):
            self._managed[fact.name] = (fact.at, fact.document)
            touched = touched + sorted(self._attached.get(fact.name, ()))
        elif isinstance(fact, IamAttachment):
            self._attached.setdefault(fact.policy.rsplit("/", 1)[-1], set()).add((fact.kind, fact.holder))
        elif isinstance(fact, IamIdentity) and fact.boundary:
            self._attached.setdefault(fact.boundary.rsplit("/", 1)[-1], set()).add((fact.kind, fact.name))
        return touched

    def _learn_usage(self, at: str, usage: Usage) -> list[tuple[str, str]]:
        """Note one usage; a pattern uses all that it covers, and is itself one more thing to use."""
        key = (usage.kind, usage.thing)
        touched = [key]
        things = self._patterns.setdefault(usage.kind, {})
        if is_pattern(usage):
            start = literal_start(usage.thing)
            touched += [
                (kind, thing)
                for kind, thing in self._used
                # its start settles nearly all pairs of a stack of many workflows, so it is asked first
                if thing.startswith(start)
                and kind == usage.kind
                and thing != usage.thing
                and pattern_covers(usage.thing, thing)
            ]
            things[usage.thing] = start
        for other in touched:
            self._used.setdefault(other, {})[(at, usage.user)] = None
        for pattern, start in things.items():
            if usage.thing.startswith(start) and pattern != usage.thing and pattern_covers(pattern, usage.thing):
                for user in self._used.get((usage.kind, pattern), {}):
                    self._used[key].setdefault(user, None)
        return touched

    def _learn_login(self, fact: Fact) -> list[str]:
        """Note what makes up logins, and return the places of those that this changes."""
        match fact:
            case VaultAuthRole():
                self._logins[fact.at] = fact
                for name in fact.policies:
                    self._holders_of_policy.setdefault(name, {})[fact.at] = None
                return [fact.at]
            case VaultPolicy():
                self._policies[fact.name] = fact
                return list(self._holders_of_policy.get(fact.name, ()))
            case VaultSecretRole() if _is_gated(fact):
                self._gated.update(dict.fromkeys(fact.credentials, fact.at))
                return list(self._logins)
            case VaultAudit():
                self._audits[fact.at] = fact.path
        return []

    def _token(self, login: str, at: str, line: int) -> LoginToken:
        role = self._logins[login]
        found = [(name, self._policies[name].text) for name in role.policies if name in self._policies]
        return LoginToken(
            at=at,
            role=role,
            policies=tuple(found),
            gated=tuple(self._gated),
            audits=tuple(self._audits.values()),
            line=line,
        )

    def _forget_login(self, at: str, fact: Fact) -> None:
        if isinstance(fact, VaultAuthRole):
            self._logins.pop(at, None)
            for name in fact.policies:
                self._holders_of_policy.get(name, {}).pop(at, None)
        elif isinstance(fact, VaultPolicy) and (known := self._policies.get(fact.name)) and known.at == at:
            del self._policies[fact.name]
        elif isinstance(fact, VaultSecretRole):
            for path in fact.credentials:
                if self._gated.get(path) == at:
                    del self._gated[path]
        elif isinstance(fact, VaultAudit):
            self._audits.pop(at, None)

    def _sharing(self, key: tuple[str, str], at: str, line: int) -> Sharing:
        users = tuple(dict.fromkeys(user for _, user in self._used[key]))
        return Sharing(at=at, kind=key[0], thing=key[1], users=users, line=line)

    def _forget(self, at: str) -> None:
        for fact in self._facts.pop(at, ()):
            self._forget_login(at, fact)
            for key in _identities(fact):
                self._holders.get(key, {}).pop(at, None)
            if isinstance(fact, IamManagedPolicy) and self._managed.get(fact.name, ("",))[0] == at:
                del self._managed[fact.name]
            for usage in usages_of(fact):
                users = self._used.get((usage.kind, usage.thing), {})
                if is_pattern(usage):
                    for others in self._used.values():
                        others.pop((at, usage.user), None)
                users.pop((at, usage.user), None)
                if not users:
                    self._patterns.get(usage.kind, {}).pop(usage.thing, None)


def _is_gated(fact: VaultSecretRole) -> bool:
    """Tell whether what a role mints needs an approval: by the IAM role that it assumes, or by its claims."""
    if fact.engine == "identity":
        return gated_use(fact.settings) == "execute"
    return any(GATED_ROLE.fullmatch(arn) for arn in names(fact.settings.get("role_arns")))


_ALONE = "\0"
"""Marks the name of an identity that nobody names: a policy that stands by itself is an identity of its own."""


def _identities(fact: Fact) -> list[tuple[str, str]]:
    match fact:
        case IamIdentity():
            return [(fact.kind, fact.name)]
        case IamPolicy():
            return [(fact.kind, fact.holder or _ALONE + fact.at)]
        case IamAttachment():
            return [(fact.kind, fact.holder)]
        case IamManagedPolicy():
            return [("policy", fact.name)]
    return []
