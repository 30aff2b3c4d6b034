"""A small OpenID provider for tests: discovery, authorization, token and keys. It logs in whoever `user` is at once.

Of whom asks for a token it wants the client's `secret`.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

CLIENT = "narrowgate"


class Provider(ThreadingHTTPServer):
    """Serves on a port of its own from `start` to `stop`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.user, self.groups = "ann", ["vendor-approvers"]
        self.secret = ""
        self.codes: dict[str, dict[str, Any]] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def sign(self, nonce: str) -> str:
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": self.user,
            "groups": self.groups,
            "nonce": nonce,
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
        }
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": "k"})


class Answering(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/.well-known/openid-configuration":
            self._json(
                {
                    "issuer": self.server.url,
                    "authorization_endpoint": f"{self.server.url}/authorize",
                    "token_endpoint": f"{self.server.url}/token",
                    "jwks_uri": f"{self.server.url}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                }
            )
        elif parts.path == "/keys":
            public = json.loads(ECAlgorithm.to_jwk(self.server.key.public_key()))
            self._json({"keys": [{**public, "kid": "k", "use": "sig", "alg": "ES256"}]})
        elif parts.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            code = secrets.token_urlsafe(16)
            self.server.codes[code] = asked
            self.send_response(303)
            answer = urlencode({"code": code, "state": asked["state"]})
            self.send_header("Location", f"{asked['redirect_uri']}?{answer}")
            self.end_headers()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        client = base64.b64encode(f"{CLIENT}:{self.server.secret}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {client}":
            self.send_error(401)
            return
        asked = self.server.codes.pop(form["code"][0], None)
        if asked is None:
            self.send_error(400)
            return
        token = self.server.sign(asked.get("nonce", ""))
        self._json({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _json(self, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
