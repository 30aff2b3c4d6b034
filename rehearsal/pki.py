"""The rehearsal's own certificate authority: it may sign for loopback only, and only this machine's clients trust it.

Writes under the layout's `pki` folder and nowhere else; no trust store of the machine is touched.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rehearsal.errors import RehearsalError
from rehearsal.state import make_folder, write_private

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsal.layout import EnvironmentLayout

CA_DAYS = 3650
SERVER_DAYS = 365
RENEW_BEFORE_DAYS = 30
LOOPBACK_NETWORKS = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
LOOPBACK_ADDRESSES = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
LOOPBACK_NAME = "localhost"
KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server's certificate chain and private key, as PEM files."""

    chain: Path
    key: Path


def ensure_ca(layout: EnvironmentLayout) -> Path:
    """Return the CA's certificate file; the CA is made on the first call."""
    if not (layout.ca_certificate.exists() and _ca_key_file(layout).exists()):
        make_folder(layout.pki)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Narrowgate rehearsal CA")
        builder = (
            _start_certificate(name, name, key.public_key(), CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
            .add_extension(x509.NameConstraints(_loopback_names(), None), critical=True)
        )
        write_private(_ca_key_file(layout), _key_pem(key))
        write_private(layout.ca_certificate, builder.sign(key, hashes.SHA256()).public_bytes(_PEM))
    return layout.ca_certificate


def ensure_server_certificate(layout: EnvironmentLayout, server: str) -> ServerCertificate:
    """Return `server`'s certificate for loopback; it is made when there is none, or when it ends within 30 days."""
    ensure_ca(layout)
    made = ServerCertificate(chain=layout.pki / f"{server}.pem", key=layout.pki / f"{server}.key")
    if not (made.key.exists() and made.chain.exists() and _is_current(made.chain)):
        authority = x509.load_pem_x509_certificate(layout.ca_certificate.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _start_certificate(_name(server), authority.subject, key.public_key(), SERVER_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(_server_names()), critical=False)
            .add_extension(_authority_identifier(authority), critical=False)
        )
        certificate = builder.sign(_load_ca_key(layout), hashes.SHA256())
        write_private(made.key, _key_pem(key))
        write_private(made.chain, certificate.public_bytes(_PEM))
    return made


_PEM = serialization.Encoding.PEM


def _ca_key_file(layout: EnvironmentLayout) -> Path:
    return layout.pki / "ca.key"


def _load_ca_key(layout: EnvironmentLayout) -> ec.EllipticCurvePrivateKey:
    """Return the CA's signing key."""
    key = serialization.load_pem_private_key(_ca_key_file(layout).read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise RehearsalError(f"{_ca_key_file(layout)} is no elliptic-curve key")
    return key


def _is_current(file: Path) -> bool:
    """Return whether the certificate in `file` is still good for a while."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    return certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) > dt.timedelta(days=RENEW_BEFORE_DAYS)


def _start_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    """Return a certificate to build on; it is valid from a minute ago, for clocks that differ a little."""
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    subject_key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in allowed for usage in KEY_USAGES})


def _loopback_names() -> list[x509.GeneralName]:
    """Return what the CA may sign for: this machine's own addresses, nothing that a network could reach."""
    return [x509.DNSName(LOOPBACK_NAME), *(x509.IPAddress(network) for network in LOOPBACK_NETWORKS)]


def _server_names() -> list[x509.GeneralName]:
    return [x509.DNSName(LOOPBACK_NAME), *(x509.IPAddress(address) for address in LOOPBACK_ADDRESSES)]


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
