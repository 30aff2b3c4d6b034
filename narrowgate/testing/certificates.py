"""Makes a client certificate that nobody trusts, in the shape of Vault's answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_certificate_for(uri_san: str, ttl_seconds: int) -> dict[str, Any]:
    """Return a self-signed certificate for `uri_san` with its key, as Vault's PKI engine answers."""
    key = ec.generate_private_key(ec.SECP256R1())
    nameless, now = x509.Name([]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(nameless)
        .issuer_name(nameless)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(seconds=30))
        .not_valid_after(now + timedelta(seconds=ttl_seconds))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri_san)]), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"certificate": pem, "issuing_ca": pem, "private_key": private.decode(), "serial_number": "fa:ke"}
