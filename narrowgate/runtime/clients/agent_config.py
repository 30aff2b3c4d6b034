"""Configuration for OpenBao Agent and Vault Agent: log in as the workflow, and keep a file for each tool fresh.

Everything in it comes from the manifest; it holds no secret. The files are what each kind of client reads by itself.
https://openbao.org/docs/agent-and-proxy/agent/, https://developer.hashicorp.com/vault/docs/agent-and-proxy/agent
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from narrowgate.runtime.errors import AgentError, NotDeclaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from narrowgate.runtime.manifest import Manifest, ManifestTool

CONFIGURATION, CA_FILE = "agent.hcl", "ca.pem"
# How often what has no lease (tokens, secrets) is read again.
LONGEST_SECONDS = 60
SHORTEST_SECONDS = 5
RENDERS_IN_LIFE = 3


class NotKeptError(AgentError):
    """The tool's credentials can't be kept by OpenBao Agent or Vault Agent.

    A database login's lease is renewable, and these programs renew it by `sys/leases/renew`, which no workflow's policy
    grants. Refused, they do not wait: OpenBao Agent 2.7 was seen to make ten new logins a second.
    """

    code = "tool-not-kept"
    hint = "Use `narrowgate exec`, or `narrowgate postgres-password`."


class LoginNotKeptError(AgentError):
    """The workflow's agent does not log in by a token in a file, so there is no such configuration of ours for it."""

    code = "login-not-kept"
    hint = "Use `narrowgate exec`, which logs in as the workflow declares."


@dataclass(frozen=True, slots=True)
class Template:
    """One rendered file: its `suffix` after the tool's name, and the `text` that the agent's template engine fills."""

    suffix: str
    text: str


def render_agent_config(
    manifest: Manifest, tools: Sequence[str], *, folder: Path, token_file: Path
) -> Mapping[str, str]:
    """Return the texts of the files, by name, that go to `folder`; `tools` empty means all that can be kept so.

    `token_file` is where the identity provider's token is found, and found again when it has changed.

    Raises:
        NotDeclaredError: the workflow has no such tool, or only the executor can hold its credentials.
        NotKeptError: the tool's credentials can't be kept by such an agent.
        LoginNotKeptError: the workflow logs in by something else than a JWT.

    """
    if manifest.identity != "jwt":
        raise LoginNotKeptError(f"{manifest.workflow} logs in by {manifest.identity}, not by a token in a file.")
    chosen = [_find(manifest, name) for name in tools] or [
        tool for _, tool in sorted(manifest.tools.items()) if tool.path and tool.backend in _TEMPLATES
    ]
    blocks = [
        _vault(manifest, folder),
        _auto_auth(manifest, token_file),
        _settings(chosen),
        *(_template(tool, folder) for tool in chosen),
    ]
    files = {CONFIGURATION: "\n".join(blocks)}
    if manifest.ca_pem is not None:
        files[CA_FILE] = manifest.ca_pem
    return files


def _find(manifest: Manifest, name: str) -> ManifestTool:
    tool = manifest.tools.get(name)
    if tool is None or tool.path is None:
        known = ", ".join(sorted(name for name, tool in manifest.tools.items() if tool.path)) or "none"
        raise NotDeclaredError(f"{manifest.workflow} can fetch no credentials for {name}; it can for {known}.")
    if tool.backend not in _TEMPLATES:
        raise NotKeptError(f"The tool {name} is behind {tool.backend}, whose logins such an agent can't keep.")
    return tool


def _vault(manifest: Manifest, folder: Path) -> str:
    lines = [f"  address = {_quote(manifest.address)}"]
    if manifest.ca_pem is not None:
        lines.append(f"  ca_cert = {_quote(folder / CA_FILE)}")
    if manifest.namespace is not None:
        lines.append(f"  namespace = {_quote(manifest.namespace)}")
    return _block("vault", lines)


def _auto_auth(manifest: Manifest, token_file: Path) -> str:
    # The token is read again for each login, so it must stay where it is; whoever issues it writes it anew.
    return _block(
        "auto_auth",
        [
            '  method "jwt" {',
            f"    mount_path = {_quote(f'auth/{manifest.auth_mount}')}",
            "    config = {",
            f"      path = {_quote(token_file)}",
            f"      role = {_quote(manifest.auth_role)}",
            "      remove_jwt_after_reading = false",
            "    }",
            "  }",
        ],
    )


def _settings(tools: Sequence[ManifestTool]) -> str:
    lives = [tool.ttl_seconds // RENDERS_IN_LIFE for tool in tools if tool.ttl_seconds]
    seconds = max(SHORTEST_SECONDS, min([LONGEST_SECONDS, *lives]))
    return _block(
        "template_config", ["  exit_on_retry_failure = true", f'  static_secret_render_interval = "{seconds}s"']
    )


def _template(tool: ManifestTool, folder: Path) -> str:
    template = _TEMPLATES[tool.backend](tool)
    return _block(
        "template",
        [
            f"  destination = {_quote(folder / (tool.name + template.suffix))}",
            '  perms = "0600"',
            "  error_on_missing_key = true",
            "  contents = <<EOT",
            template.text,
            "EOT",
        ],
    )


def _block(name: str, lines: Sequence[str]) -> str:
    return "\n".join((f"{name} {{", *lines, "}", ""))


def _quote(value: object) -> str:
    """Return a string of HCL; the agent would fill `${` and `%{` in."""
    return json.dumps(str(value)).replace("${", "$${").replace("%{", "%%{")


# -- what each backend's file holds


def _aws(tool: ManifestTool) -> Template:
    """Write what `credential_process` expects: an AWS profile runs `cat` on it, and knows when to run it again."""
    return Template(
        ".aws.json",
        f"{{{{ with secret {_quote(tool.path)} }}}}"
        '{"Version": 1, "AccessKeyId": "{{ .Data.access_key }}", "SecretAccessKey": "{{ .Data.secret_key }}", '
        '"SessionToken": "{{ .Data.security_token }}", "Expiration": '
        '"{{ sprig_now | sprig_date_modify (printf "+%ds" .LeaseDuration) | sprig_date "2006-01-02T15:04:05Z07:00" }}"}'
        "{{ end }}",
    )


def _bearer(tool: ManifestTool) -> Template:
    return Template(".token", f"{{{{ with secret {_quote(tool.path)} }}}}{{{{ .Data.token }}}}{{{{ end }}}}")


def _secret(tool: ManifestTool) -> Template:
    return Template(".json", f"{{{{ with secret {_quote(tool.path)} }}}}{{{{ .Data.data | toJSON }}}}{{{{ end }}}}")


def _certificate(tool: ManifestTool) -> Template:
    asked = " ".join(_quote(f"{name}={value}") for name, value in (tool.request or {}).items())
    return Template(
        ".pem",
        f"{{{{ with pkiCert {_quote(tool.path)} {asked} }}}}{{{{ .Key }}}}{{{{ .Cert }}}}{{{{ .CA }}}}{{{{ end }}}}",
    )


_TEMPLATES: Final[Mapping[str, Callable[[ManifestTool], Template]]] = {
    "aws": _aws,
    "bearer": _bearer,
    "kv": _secret,
    "pki": _certificate,
}
