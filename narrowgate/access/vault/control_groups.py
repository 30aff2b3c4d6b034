"""The stanza `control_group` of a policy's path: who must approve a request before the server answers it.

Source of the rules: OpenBao 2.7, where a factor without capabilities, groups or approvals is refused; Vault
Enterprise takes a factor without capabilities to control all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from narrowgate.access.vault import decoding
from narrowgate.access.vault.policy import ALL_CAPABILITIES, ControlGroup, Factor, Server
from narrowgate.access.vault.syntax import Item, ObjectNode

# Operations that a control group may name; wider than capabilities, since the server also renews and revokes.
_OPERATIONS = frozenset(
    {
        "create",
        "read",
        "update",
        "patch",
        "delete",
        "list",
        "scan",
        "help",
        "alias-lookahead",
        "resolve-role",
        "header",
        "revoke",
        "renew",
        "rollback",
    }
)


@dataclass(frozen=True, slots=True)
class ControlGroupReader:
    """Reads control groups of one policy as a server reads them."""

    policy: str
    server: Server

    def read(self, body: ObjectNode, what: str) -> ControlGroup | None:
        """Return the control group of one `path` block; of several the last one counts."""
        group: ControlGroup | None = None
        for item in body.entries("control_group"):
            group = self._one(item, f"control_group of {what}")
        return group

    def _one(self, item: Item, what: str) -> ControlGroup:
        body = self._block(item, what)
        decoding.check_keys(body.items, frozenset({"ttl", "self_auth_allowed", "factor"}), what, self.policy)
        factors = tuple(self._factor(entry, what) for entry in body.entries("factor"))
        if not factors:
            self._check(item, "needs at least one factor", what)
        return ControlGroup(
            factors=factors,
            ttl_ns=decoding.duration(body.entries("ttl"), f"ttl of {what}", item, self.policy),
            self_authorization=decoding.last_boolean(
                body.entries("self_auth_allowed"), f"self_auth_allowed of {what}", self.policy
            ),
        )

    def _factor(self, item: Item, what: str) -> Factor:
        name = item.keys[0] if item.keys else ""
        within = f"factor {name!r} of {what}"
        self._check(item, None if item.keys else "a factor needs a name", what)
        body = self._block(item, within)
        decoding.check_keys(body.items, frozenset({"controlled_capabilities", "identity"}), within, self.policy)
        capabilities = decoding.text_list(
            body.entries("controlled_capabilities"), f"controlled_capabilities of {within}", self.policy
        )
        groups: tuple[str, ...] = ()
        approvals = 0
        for entry in body.entries("identity"):
            if entry.keys:
                continue  # the server passes over an identity with a label
            identity = self._block(entry, f"identity of {within}")
            groups += decoding.text_list(identity.entries("group_names"), f"group_names of {within}", self.policy)
            if self.server is not Server.OPENBAO:  # which passes over group_ids
                ids = decoding.text_list(identity.entries("group_ids"), f"group_ids of {within}", self.policy)
                groups += tuple(f"id:{group}" for group in ids)
            if count := identity.entries("approvals"):
                approvals = decoding.last_integer(count, f"approvals of {within}", self.policy)
        return self._checked_factor(item, within, Factor(name, groups, approvals, frozenset(capabilities) or None))

    def _checked_factor(self, item: Item, what: str, factor: Factor) -> Factor:
        known = _OPERATIONS if self.server is Server.OPENBAO else _OPERATIONS | ALL_CAPABILITIES
        unknown = sorted((factor.capabilities or frozenset()) - known)
        if unknown:
            self._check(item, f"unknown controlled capability {unknown[0]!r}", what)
        if self.server is Server.VAULT:
            return factor
        if factor.capabilities is None and self.server is Server.OPENBAO:
            self._check(item, "controlled_capabilities are missing", what)
        if factor.approvals <= 0:
            self._check(item, "approvals are missing", what)
        if not factor.group_names:
            self._check(item, "group_names are missing", what)
        return factor

    def _check(self, item: Item, problem: str | None, what: str) -> None:
        if problem is not None:
            raise decoding.refuse(f"{what}: {problem}", item, self.policy)

    def _block(self, item: Item, what: str) -> ObjectNode:
        if not isinstance(item.value, ObjectNode):
            raise decoding.refuse(f"{what} must be a block", item, self.policy)
        return item.value
