"""What a credential that Vault mints calls its holder: the names in a certificate, the claims in a signed token.

A tool that checks certificates or tokens tells callers apart by these and by nothing else, so two roles that mint the
same name are one identity. This module reads settings; it must not judge.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any, Final

from narrowgate.rules.facts import names

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME_SETTINGS: Final = ("allowed_uri_sans", "allowed_domains", "allowed_other_sans")
# Vault fills this in, with quotes where it is a text; what it becomes tells users apart, not workflows.
_FILLED_IN: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def certificate_names(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that a PKI role may put into a certificate, as its settings say them: patterns too."""
    return tuple(name for setting in _NAME_SETTINGS for name in names(settings.get(setting)))


def open_names(settings: Mapping[str, Any]) -> list[str]:
    """Return `setting=value` for each setting of a PKI role that lets the caller choose a name."""
    found = [f"{setting}={name}" for setting in _NAME_SETTINGS for name in names(settings.get(setting)) if "*" in name]
    if str(settings.get("allow_any_name", False)).lower() == "true":
        found.append("allow_any_name=true")
    return found


def signed_claims(settings: Mapping[str, Any]) -> str | None:
    """Return what tells the tokens of an identity-token role from others': its audience, workflow and tool.

    A token that says it is an executor's is told by its one action too, and by what it is for (`gated_use`). Where its
    claims name no workflow and tool, all its claims. None where it names no audience: then Vault makes up one of the
    role's own, or where its claims are not known yet.
    """
    audience = settings.get("client_id")
    if not audience or "template" not in settings:
        return None
    claims = _read(str(settings["template"] or ""))
    if isinstance(claims, dict) and isinstance(claims.get("workflow"), str) and isinstance(claims.get("tool"), str):
        use = _find_use(claims)
        name = f"{claims['workflow']}.{claims['tool']}"
        return f"{name} at {audience}" if use is None else f"{name}.{claims['action']} (gated: {use}) at {audience}"
    return f"{json.dumps(claims, sort_keys=True)} at {audience}"


def gated_use(settings: Mapping[str, Any]) -> str | None:
    """Return what an executor's token of an identity-token role is for, `execute` or `read`; None for any other."""
    claims = _read(str(settings.get("template") or ""))
    return _find_use(claims) if isinstance(claims, dict) else None


def _find_use(claims: Mapping[str, Any]) -> str | None:
    """Tell an executor's token by its claims: one action, which is the only one to execute, or none where it reads."""
    use, action = claims.get("gated"), claims.get("action")
    if not isinstance(use, str) or not isinstance(action, str):
        return None
    return use if {"execute": [action], "read": []}.get(use) == claims.get("actions") else None


def _read(template: str) -> Any:  # noqa: ANN401 - JSON
    text = template
    if not template.lstrip().startswith("{"):
        try:  # Vault takes it in base64 too
            text = base64.b64decode(template, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = template
    try:
        return json.loads(_FILLED_IN.sub("null", text))
    except ValueError:
        return text
