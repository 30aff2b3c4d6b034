"""From policy text to a `Policy`, refusing what the server refuses.

Source of the rules: the behaviour of OpenBao 2.7 and Vault 1.18, each checked against a running OpenBao.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from narrowgate.access.vault import decoding
from narrowgate.access.vault.control_groups import ControlGroupReader
from narrowgate.access.vault.durations import parse_time
from narrowgate.access.vault.errors import VaultPolicyError, VaultPolicySyntaxError
from narrowgate.access.vault.policy import (
    ALL_CAPABILITIES,
    OPENBAO_CAPABILITIES,
    VAULT_CAPABILITIES,
    ControlGroup,
    Permissions,
    Policy,
    Rule,
    Server,
)
from narrowgate.access.vault.syntax import Item, ObjectNode, parse_tree
from narrowgate.access.vault.templates import check_template

_TOP_KEYS = frozenset({"name", "path"})
_COMMON_KEYS = frozenset(
    {
        "comment",
        "policy",
        "capabilities",
        "allowed_parameters",
        "denied_parameters",
        "required_parameters",
        "min_wrapping_ttl",
        "max_wrapping_ttl",
        "mfa_methods",
        "control_group",
    }
)
_OPENBAO_KEYS = _COMMON_KEYS | {"pagination_limit", "expiration", "list_scan_response_keys_filter_path"}
_VAULT_KEYS = _COMMON_KEYS | {"subscribe_event_types"}
_RULE_KEYS = {
    Server.OPENBAO: _OPENBAO_KEYS,
    Server.VAULT: _VAULT_KEYS,
    Server.ANY: _OPENBAO_KEYS | _VAULT_KEYS,
}
_CAPABILITIES = {
    Server.OPENBAO: OPENBAO_CAPABILITIES,
    Server.VAULT: VAULT_CAPABILITIES,
    Server.ANY: ALL_CAPABILITIES,
}
# What the deprecated `policy = "…"` stands for.
_OLD_POLICIES = {
    "deny": ("deny",),
    "read": ("read", "list"),
    "write": ("create", "read", "update", "delete", "list"),
    "sudo": ("create", "read", "update", "delete", "list", "sudo"),
}
_USES_KEY = re.compile(r"\{\{[^}]*\.key\b")


def parse(
    text: str | bytes | dict[str, object], name: str = "", *, server: Server = Server.ANY, now: datetime | None = None
) -> Policy:
    """Return the policy that `text` (HCL, JSON, or the dict that the JSON would give) states.

    `name` is the policy's name on the server (lower-cased, as there); without it, the text's own `name` counts.
    `server` decides which attributes and capabilities exist. A rule whose `expiration` is before `now` (default:
    the clock) is left out, as on the server.

    Raises VaultPolicySyntaxError or VaultPolicyError, both with line and column.
    """
    tree = parse_tree(_to_text(text, name), name)
    decoding.check_keys(tree.items, _TOP_KEYS, "a policy", name)
    own_name = decoding.last_text(tree.entries("name"), "name", name)
    reader = _RuleReader((name or own_name).strip().lower(), server, now or datetime.now(UTC))
    rules = [reader.read(item) for item in tree.entries("path")]
    return Policy(reader.policy, tuple(rule for rule in rules if rule is not None))


def _to_text(text: str | bytes | dict[str, object], name: str) -> str:
    if isinstance(text, dict):
        return json.dumps(text)
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        column = error.start - (text.rfind(b"\n", 0, error.start) + 1) + 1
        raise VaultPolicySyntaxError("the text is not UTF-8", line=line, column=column, policy=name) from error


@dataclass(frozen=True, slots=True)
class _RuleReader:
    policy: str
    server: Server
    now: datetime

    def read(self, item: Item) -> Rule | None:
        """Return the rule of one `path` entry, or None when it has expired."""
        path = item.keys[0] if item.keys else "path"  # `path = {…}` is the rule for the path named "path"
        what = f"path {path!r}"
        body = item.value
        self._check(item, check_template(path), what)
        if not isinstance(body, ObjectNode):
            raise decoding.refuse(f"{what} must be a block", item, self.policy)
        decoding.check_keys(body.items, _RULE_KEYS[self.server], what, self.policy)
        control_group = ControlGroupReader(self.policy, self.server).read(body, what)
        fields = self._fields(body, what)
        expiration = self._expiration(body, item, what)
        if expiration is not None and expiration < self.now:
            return None
        self._check(item, "'+*' is forbidden" if "+*" in path else None, what)
        return Rule(
            path=path,
            permissions=self._permissions(fields, item, what, control_group),
            line=item.line,
            column=item.column,
            policy=self.policy,
            comment=_comment(body),
            expiration=expiration,
        )

    def _check(self, item: Item, problem: str | None, what: str) -> None:
        if problem is not None:
            raise decoding.refuse(f"{what}: {problem}", item, self.policy)

    def _fields(self, body: ObjectNode, what: str) -> _Fields:
        policy = self.policy

        def of(key: str) -> list[Item]:
            return body.entries(key)

        def within(key: str) -> str:
            return f"{key} of {what}"

        return _Fields(
            old_policy=decoding.last_text(of("policy"), within("policy"), policy),
            capabilities=decoding.text_list(of("capabilities"), within("capabilities"), policy),
            allowed=decoding.parameter_lists(of("allowed_parameters"), within("allowed_parameters"), policy),
            denied=decoding.parameter_lists(of("denied_parameters"), within("denied_parameters"), policy),
            required=decoding.text_list(of("required_parameters"), within("required_parameters"), policy),
            min_wrapping_ttl=of("min_wrapping_ttl"),
            max_wrapping_ttl=of("max_wrapping_ttl"),
            mfa_methods=decoding.text_list(of("mfa_methods"), within("mfa_methods"), policy),
            pagination_limit=decoding.last_integer(of("pagination_limit"), within("pagination_limit"), policy),
            list_filter_path=decoding.last_text(
                of("list_scan_response_keys_filter_path"), within("list_scan_response_keys_filter_path"), policy
            ),
        )

    def _permissions(self, fields: _Fields, item: Item, what: str, control_group: ControlGroup | None) -> Permissions:
        capabilities = fields.capabilities
        if fields.old_policy:
            old = _OLD_POLICIES.get(fields.old_policy)
            if old is None:
                raise decoding.refuse(f"{what}: invalid policy {fields.old_policy!r}", item, self.policy)
            capabilities = old if fields.old_policy == "deny" else capabilities + old
        for capability in capabilities:
            if capability == "deny":  # what follows it is not even looked at
                return Permissions(denied=True, control_group=control_group)
            if capability not in _CAPABILITIES[self.server]:
                raise decoding.refuse(f"{what}: invalid capability {capability!r}", item, self.policy)
        min_ttl = decoding.duration(fields.min_wrapping_ttl, f"min_wrapping_ttl of {what}", item, self.policy)
        max_ttl = decoding.duration(fields.max_wrapping_ttl, f"max_wrapping_ttl of {what}", item, self.policy)
        if min_ttl and max_ttl and max_ttl < min_ttl:
            self._check(item, "max_wrapping_ttl cannot be less than min_wrapping_ttl", what)
        if fields.list_filter_path and "list" not in capabilities:
            self._check(item, "list_scan_response_keys_filter_path needs the list capability", what)
        if fields.list_filter_path and not _USES_KEY.search(fields.list_filter_path):
            self._check(item, "list_scan_response_keys_filter_path does not use .key", what)
        return Permissions(
            capabilities=frozenset(capabilities),
            allowed_parameters=self._lower_keys(fields.allowed, item, what),
            denied_parameters=self._lower_keys(fields.denied, item, what),
            required_parameters=fields.required,
            min_wrapping_ttl_ns=min_ttl,
            max_wrapping_ttl_ns=max_ttl,
            pagination_limit=fields.pagination_limit,
            list_filter_path=fields.list_filter_path,
            mfa_methods=frozenset(fields.mfa_methods),
            control_group=control_group,
        )

    def _lower_keys(
        self, lists: dict[str, tuple[object, ...]] | None, item: Item, what: str
    ) -> dict[str, tuple[object, ...]] | None:
        """Lower the names, as the server does. Of names that fall together it keeps either, at random: refused."""
        if lists is None:
            return None
        lowered = {name.lower(): values for name, values in lists.items()}
        if len(lowered) < len(lists):
            self._check(item, "two parameter names differ only in case", what)
        return lowered

    def _expiration(self, body: ObjectNode, item: Item, what: str) -> datetime | None:
        text = decoding.last_text(body.entries("expiration"), f"expiration of {what}", self.policy)
        if not text:
            return None
        try:
            return parse_time(text)
        except ValueError as error:
            raise decoding.refuse(f"{what}: expiration: {error}", item, self.policy) from error


@dataclass(frozen=True, slots=True)
class _Fields:
    old_policy: str
    capabilities: tuple[str, ...]
    allowed: dict[str, tuple[object, ...]] | None
    denied: dict[str, tuple[object, ...]] | None
    required: tuple[str, ...]
    min_wrapping_ttl: list[Item]
    max_wrapping_ttl: list[Item]
    mfa_methods: tuple[str, ...]
    pagination_limit: int
    list_filter_path: str


def _comment(body: ObjectNode) -> str:
    """Return the comment, for people only: the server accepts any value in its place."""
    try:
        return decoding.last_text(body.entries("comment"), "comment", "")
    except VaultPolicyError:
        return ""
