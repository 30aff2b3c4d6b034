"""`vault-policy-own-paths`: a workflow's policy names exact paths, all of them its own.

Source: the permission model (data scope; one identity per workflow). A policy called `agent.<workflow>` or
`tool.<workflow>.<tool>` (or `gated.<workflow>.<tool>.<action>`) is a workflow's: each of its paths must carry the
workflow's name as a segment, or be one of the paths that any login may use. Elsewhere a pattern is a warning: it covers
paths that nobody named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from narrowgate.rules.common_paths import is_common_path
from narrowgate.rules.facts import VaultPolicy
from narrowgate.rules.finding import Severity
from narrowgate.rules.questions import vault_rules
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.questions import VaultRule
    from narrowgate.rules.settings import Settings

NAME = "vault-policy-own-paths"

_OURS: Final = re.compile(
    r"(?:agent\.(?P<agent>[a-z][a-z0-9-]*)"
    r"|(?:tool\.(?P<workflow>[a-z][a-z0-9-]*)\.[a-z0-9-]+)"
    r"|(?:gated\.(?P<gated>[a-z][a-z0-9-]*)\.[a-z0-9-]+\.[a-z0-9-]+))"
)
_SHORTENED: Final = re.compile(r"(?P<start>.+)_[0-9a-f]{10}")
_LONGEST_ROLE: Final = 40


def judge(subject: VaultPolicy, _: Settings) -> Iterator[Finding]:
    """Yield a finding for each path that is a pattern, or another workflow's."""
    ours = _OURS.fullmatch(subject.name)
    workflow = (ours["agent"] or ours["workflow"] or ours["gated"]) if ours else ""
    for rule in vault_rules(subject.text):
        if is_common_path(rule.path, rule.capabilities) or (workflow and _is_drop_box(rule, workflow)):
            continue
        found = report(NAME, subject, line=subject.line + rule.line - 1)
        if "*" in rule.path or "+" in rule.path.split("/"):
            yield found(
                f"Vault policy {subject.name!r} grants a pattern of paths: {rule.path}",
                detail=f"Its holder can use every path that fits {rule.path}, also one made tomorrow for others.",
                fix="Name the exact paths.",
                severity=Severity.ERROR if workflow else Severity.WARNING,
            )
        elif workflow and not is_own(rule.path, workflow) and not _reads_a_secret(rule):
            yield found(
                f"Vault policy {subject.name!r} grants {rule.path}, which is not the workflow's own",
                detail=f"An agent of {workflow} can use {rule.path}, which belongs to somebody else.",
                fix=f"Give {workflow} a path of its own, named after it.",
            )


def is_own(path: str, workflow: str) -> bool:
    """Tell whether a segment of `path` is the workflow, one of its tools, or such a name shortened with a hash."""
    return any(
        segment == workflow or segment.startswith(f"{workflow}.") or _is_shortened(segment, workflow)
        for segment in path.split("/")
    )


def _is_drop_box(rule: VaultRule, workflow: str) -> bool:
    """Tell whether this only creates, or only reads, in a folder of the workflow's named by the caller's own entity."""
    folder, _, entry = rule.path.rpartition("/")
    parent, _, owner = folder.rpartition("/")
    own = owner == "{{identity.entity.id}}" and parent.rpartition("/")[2] == workflow
    return own and entry == "+" and set(rule.capabilities) in ({"create"}, {"read"}) and not ({"*", "+"} & set(parent))


def _reads_a_secret(rule: VaultRule) -> bool:
    """Tell whether this is one KV secret, read only: a binding names it; that nobody shares it is another rule's."""
    mount, data, *rest = rule.path.split("/")[:3] + [""] * 2
    return data == "data" and bool(rest[0]) and mount != "drafts" and set(rule.capabilities) <= {"read"}


def _is_shortened(segment: str, workflow: str) -> bool:
    match = _SHORTENED.fullmatch(segment)
    if match is None or len(segment) > _LONGEST_ROLE:
        return False
    return f"{workflow}.".startswith(match["start"]) or match["start"].startswith(f"{workflow}.")


RULE = Rule(NAME, "A workflow's Vault policies name exact paths of its own.", (VaultPolicy,), judge)
