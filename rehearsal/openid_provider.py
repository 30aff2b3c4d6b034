"""The process at which the rehearsal's people log in by OpenID Connect: one press says who one is, without a password.

It signs with the identity provider's own key, for one client that comes back to one address, knows the client's secret
and began the login (PKCE). It listens on loopback, and is for this machine alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import secrets
import sys
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm

from rehearsal import idp
from rehearsal.layout import find_layout
from rehearsal.openid import CLIENT, DISCOVERY_PATH, get_address, get_page_address
from rehearsal.state import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rehearsal.layout import EnvironmentLayout

CODE_SECONDS = 60.0
MOST_CODES = 1_000
MOST_BYTES = 16_384
ASK_SECONDS = 10.0
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Who are you?</title><style>body{{font:1.1rem sans-serif;max-width:24rem;margin:3rem auto;padding:0 1rem}}
button{{display:block;width:100%;min-height:3rem;margin:.5rem 0;padding:.5rem 1rem;font:inherit;text-align:left}}
small{{color:#555}}</style><h1>Who are you?</h1><p>The rehearsal's people in {environment}. Nobody has a password.
<form method="post" action="/authorize?{query}">{people}</form></html>"""
PERSON = '<button name="user" value="{user}">{user} <small>{groups}</small></button>'


class RefusedError(Exception):
    """A question is refused; its text says why, and holds nothing of what was asked."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login that waits for the client to fetch its token: who, what the client asked with, and until when."""

    user: str
    asked: Mapping[str, str]
    ends: float


class Provider(ThreadingHTTPServer):
    """The provider of one environment. Addresses and secrets are read when they are needed."""

    daemon_threads = True

    def __init__(self, layout: EnvironmentLayout) -> None:
        """Listen at the environment's own port."""
        super().__init__((LOOPBACK, urlsplit(get_address(layout)).port or 0), Answering)
        self.layout = layout
        self.logins: dict[str, Login] = {}

    def describe(self) -> dict[str, object]:
        """Return the provider's configuration, as OpenID Connect Discovery has it."""
        address = get_address(self.layout)
        return {
            "issuer": address,
            "authorization_endpoint": f"{address}/authorize",
            "token_endpoint": f"{address}/token",
            "jwks_uri": f"{address}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [idp.ALGORITHM],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }

    def list_keys(self) -> dict[str, object]:
        """Return the public key with which tokens are verified."""
        key = load_pem_public_key(idp.read_public_key(self.layout).encode())
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise TypeError("the identity provider's key is of another kind")
        return {"keys": [{**ECAlgorithm.to_jwk(key, as_dict=True), "use": "sig", "alg": idp.ALGORITHM}]}

    def check_client(self, asked: Mapping[str, str]) -> None:
        """Check who wants a login, and where it would go; only then may a browser be sent anywhere.

        Raises:
            RefusedError: it is not the client's, or not as the client asks.

        """
        wanted = {
            "client_id": CLIENT,
            "redirect_uri": f"{get_page_address(self.layout)}/oidc/callback",
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        wrong = sorted(name for name, value in wanted.items() if asked.get(name) != value)
        if wrong or not asked.get("code_challenge"):
            raise RefusedError(f"not as the client must ask: {', '.join(wrong or ['code_challenge'])}")

    def show_people(self, query: str, asked: Mapping[str, str]) -> str:
        """Return the page on which one says who one is."""
        self.check_client(asked)
        people = "".join(
            PERSON.format(user=html.escape(user), groups=html.escape(", ".join(groups) or "no group"))
            for user, groups in idp.DIRECTORY.items()
        )
        return PAGE.format(environment=self.layout.environment, query=html.escape(query), people=people)

    def log_in(self, asked: Mapping[str, str], user: str) -> str:
        """Return where the browser of `user`, who has pressed their name, goes back to."""
        self.check_client(asked)
        if user not in idp.DIRECTORY:
            raise RefusedError("nobody is called so")
        now = time.monotonic()
        self.logins = {code: login for code, login in list(self.logins.items())[-MOST_CODES:] if login.ends > now}
        code = secrets.token_urlsafe(32)
        self.logins[code] = Login(user, asked, now + CODE_SECONDS)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked.get('state', '')})}"

    def give_token(self, authorization: str, form: Mapping[str, str]) -> dict[str, object]:
        """Return the tokens that the client gets for a code, once."""
        secret = idp.ensure_client_secret(self.layout).read_text()
        basic = base64.b64encode(f"{quote(CLIENT, safe='')}:{quote(secret, safe='')}".encode()).decode()
        if not hmac.compare_digest(authorization.encode(), f"Basic {basic}".encode()):
            raise RefusedError("not the client's secret")
        login = self.logins.pop(form.get("code", ""), None)
        if login is None or login.ends <= time.monotonic():
            raise RefusedError("no such code")
        if form.get("redirect_uri") != login.asked["redirect_uri"]:
            raise RefusedError("another address than the login's")
        if derive_challenge(form.get("code_verifier", "")) != login.asked["code_challenge"]:
            raise RefusedError("not the one who began the login")
        nonce = login.asked.get("nonce", "")
        issuer = get_address(self.layout)
        token = idp.sign_token(self.layout, idp.look_up(login.user), iss=issuer, aud=CLIENT, nonce=nonce)
        times = {"token_type": "Bearer", "expires_in": idp.TTL_SECONDS}
        return {"access_token": secrets.token_urlsafe(32), "id_token": token, **times}


def derive_challenge(verifier: str) -> str:
    """Return the code challenge of `verifier` (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Answering(BaseHTTPRequestHandler):
    """One question; each path is one line of a table."""

    server: Provider
    timeout = ASK_SECONDS

    def do_GET(self) -> None:
        """Answer by the table."""
        self._answer(
            {
                DISCOVERY_PATH: lambda: self._send_json(self.server.describe()),
                "/keys": lambda: self._send_json(self.server.list_keys()),
                "/authorize": self._show_people,
            }
        )

    def do_POST(self) -> None:
        """Answer by the table."""
        self._answer({"/authorize": self._log_in, "/token": self._give_token})

    def _answer(self, table: Mapping[str, Callable[[], None]]) -> None:
        answer = table.get(urlsplit(self.path).path)
        if answer is None or self.headers["Host"] != urlsplit(get_address(self.server.layout)).netloc:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            answer()
        except RefusedError as error:
            self.log_message("refused: %s", error)
            self._send(HTTPStatus.BAD_REQUEST, "application/json", json.dumps({"error": str(error)}))

    def _show_people(self) -> None:
        query = urlsplit(self.path).query
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.show_people(query, read_fields(query)))

    def _log_in(self) -> None:
        back = self.server.log_in(read_fields(urlsplit(self.path).query), self._read_form().get("user", ""))
        self._send(HTTPStatus.SEE_OTHER, "text/plain", "", Location=back)

    def _give_token(self) -> None:
        self._send_json(self.server.give_token(self.headers["Authorization"] or "", self._read_form()))

    def _read_form(self) -> dict[str, str]:
        length = self.headers["Content-Length"] or ""
        if not length.isdecimal() or int(length) > MOST_BYTES:
            raise RefusedError("no form")
        return read_fields(self.rfile.read(int(length)).decode(errors="replace"))

    def _send_json(self, document: Mapping[str, object]) -> None:
        self._send(HTTPStatus.OK, "application/json", json.dumps(document))

    def _send(self, status: HTTPStatus, kind: str, text: str, **more: str) -> None:
        content = text.encode()
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
        }
        self.send_response(status)
        for name, value in {**headers, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log the path alone: a query holds what a login is made of."""
        self.log_message("%s %s %s %s", self.command, urlsplit(self.path).path, code, size)


def read_fields(text: str) -> dict[str, str]:
    """Return the fields of a query or form; of a name that comes twice, none is taken."""
    return {name: values[0] for name, values in parse_qs(text).items() if len(values) == 1}


if __name__ == "__main__":
    Provider(find_layout().of(sys.argv[1])).serve_forever()
