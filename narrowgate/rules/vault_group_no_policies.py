"""`vault-group-no-policies`: policies hang on auth roles, never on groups or entities.

Source: Vault's documentation of identity: the policies of an entity, and of each group that it stands in, are added to
every token of it, whichever login made that. What a person may do by their own login would flow into an agent's token,
and what one agent may do into another's, with no auth role that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.facts import VaultEntity, VaultGroup
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "vault-group-no-policies"


def judge(subject: VaultGroup | VaultEntity, _: Settings) -> Iterator[Finding]:
    """Yield a finding for a group or an entity with policies."""
    if not subject.policies:
        return
    what = "group" if isinstance(subject, VaultGroup) else "entity"
    yield report(NAME, subject)(
        f"Vault {what} {subject.name!r} carries the policies {', '.join(subject.policies)}",
        detail=f"They are added to each token of each member, by whichever login: an agent gets {subject.policies[0]}.",
        fix=f"Take policies off the {what}, and name them in token_policies of the one auth role that needs them.",
    )


RULE = Rule(NAME, "Policies hang on auth roles, never on groups or entities.", (VaultGroup, VaultEntity), judge)
