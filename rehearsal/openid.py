"""Starts the identity provider's login for browsers, and knows the addresses of it and of the page that it serves.

Vault and browsers ask it on loopback, so it is not at the committed issuer's address. It must not sign anything.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import requests

from rehearsal import idp
from rehearsal.processes import base_environment, find, start, wait_until
from rehearsal.state import LOOPBACK, check_deployed_port, choose_port, get_port, read_state

if TYPE_CHECKING:
    from rehearsal.layout import EnvironmentLayout

NAME = "openid"
PAGE = "page"
CLIENT = "narrowgate-approvals"
DISCOVERY_PATH = "/.well-known/openid-configuration"
START_SECONDS = 60.0
ASK_SECONDS = 2.0


def get_address(layout: EnvironmentLayout) -> str:
    """Return the provider's URL, which is also the issuer of its ID tokens."""
    return f"http://{LOOPBACK}:{get_port(layout, layout.part(NAME))}"


def get_page_address(layout: EnvironmentLayout) -> str:
    """Return the URL at which the approvers' page is to be served: it is the provider's client there and nowhere else.

    The rehearsal binds it and does not serve it.
    """
    return f"http://{LOOPBACK}:{get_port(layout, layout.part(PAGE))}"


def start_provider(layout: EnvironmentLayout) -> bool:
    """Start the provider unless it runs, wait until it answers, and return whether it was started now.

    Raises:
        RehearsalError: it did not answer within a minute, or another program took its port.

    """
    _choose_page_port(layout)
    name = layout.part(NAME)
    process = find(layout, name)
    started = process is None
    if process is None:
        idp.ensure_key(layout)
        idp.ensure_client_secret(layout)
        check_deployed_port(layout, NAME)  # Vault asks there whenever the engine reads its settings, and waits
        choose_port(layout, name)
        command = [sys.executable, "-I", "-m", "rehearsal.openid_provider", layout.environment]
        settings = {"NARROWGATE_REHEARSAL_DIR": str(layout.root)}
        process = start(layout, name, command, {**base_environment(layout), **settings})
    wait_until(layout, name, process, lambda: is_ready(layout), seconds=START_SECONDS)
    return started


def _choose_page_port(layout: EnvironmentLayout) -> None:
    """Choose the page's port; it stays while the page is served there, and changes where another program took it."""
    name = layout.part(PAGE)
    if name not in read_state(layout).ports or _ask(f"{get_page_address(layout)}/healthz") != "ok":
        choose_port(layout, name)


def is_ready(layout: EnvironmentLayout) -> bool:
    """Return whether the provider answers."""
    address = get_address(layout)
    return f'"{address}"' in _ask(address + DISCOVERY_PATH)


def _ask(url: str) -> str:
    """Return what `url` answers; nothing where nobody answers."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=ASK_SECONDS, allow_redirects=False).text
    except requests.RequestException:
        return ""
