"""Runs the page's server, with TLS or on this machine alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from narrowgate.approvals.errors import SettingsError
from narrowgate.runtime.vault import ca_file

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.approvals.settings import Gate

PORT: Final = 8400
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def choose_port(gate: Gate) -> int:
    """Return the port of the page that the environment binds on this machine, or else the page's usual one."""
    bound = urlsplit(gate.approvers.page_url or "")
    return (bound.port if bound.hostname in LOOPBACK else None) or PORT


def choose_origin(host: str, port: int, url: str | None, *, tls: bool) -> str:
    """Return the origin that browsers see; raise SettingsError where a session would travel in the clear."""
    parts = urlsplit(url or f"{'https' if tls else 'http'}://{host}:{port}")
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"} or parts.query:
        raise SettingsError(f"{url} is no origin.", hint="As in https://approvals.example.com")
    if parts.scheme == "http" and (parts.hostname not in LOOPBACK or host not in LOOPBACK):
        raise SettingsError(
            "Sessions travel over https only.",
            hint="Give --certificate and --key, or, behind a proxy that ends TLS, --url https://… .",
        )
    return f"{parts.scheme}://{parts.netloc}"


def serve_page(  # noqa: PLR0913 - a server has this many sides
    gate: Gate,
    *,
    host: str,
    port: int,
    origin: str,
    oidc_role: str | None,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """Serve until SIGTERM or SIGINT; then every session's Vault token is revoked."""
    try:
        import uvicorn

        from narrowgate.approvals.page.app import Page
    except ImportError as error:
        raise SettingsError(f"{error.name} is not installed.", hint="Install narrowgate[approvals].") from None

    with ca_file(gate.ca_pem) as verify:
        uvicorn.run(
            Page(gate, origin, verify, oidc_role).build(),
            host=host,
            port=port,
            ssl_certfile=None if certificate is None else str(certificate),
            ssl_keyfile=None if key is None else str(key),
            # Addresses hold the identity provider's codes: none is logged.
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
