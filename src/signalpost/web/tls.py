"""A certificate of our own for the TLS port, when the workspace names none: made once, kept beside the database."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY, CERTIFICATE, KEY = "signalpost-ca.pem", "signalpost-tls.pem", "signalpost-tls.key"

RENEW = timedelta(days=30)
"""A certificate with less than this left is made anew."""

LIFE = timedelta(days=397)
"""The longest life that TLS clients accept of a server's certificate."""


def certificate(directory: Path, *, now: datetime | None = None) -> tuple[Path, Path]:
    """(certificate chain, key) for localhost, 127.0.0.1 and ::1 in `directory`, made on the first call and when due.

    The authority that signed it lies beside them as `signalpost-ca.pem`: give that file to a client
    (REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS, SSL_CERT_FILE) and it trusts this server. The authority's key is not kept.
    Key files are readable by the owner only.
    """
    now = now or datetime.now(UTC)
    directory.mkdir(parents=True, exist_ok=True)
    chain, key = directory / CERTIFICATE, directory / KEY
    if not _usable(chain, key, now):
        _make(directory, now)
    return chain, key


def _usable(chain: Path, key: Path, now: datetime) -> bool:
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        known = x509.load_pem_x509_certificate(chain.read_bytes())
    except (OSError, ValueError):
        return False
    return known.not_valid_after_utc - now > RENEW and known.public_key() == private.public_key()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _make(directory: Path, now: datetime) -> None:
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Signalpost local authority")

    def start(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(authority_name).public_key(public)
        builder = (
            builder.serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + LIFE)
        )
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        subject_key = x509.SubjectKeyIdentifier.from_public_key(public)
        return builder.add_extension(identifier, critical=False).add_extension(subject_key, critical=False)

    signing = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    serving = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    authority = (
        start(authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signing, critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1"))]
    )
    server = (
        start(_name("localhost"), server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(serving, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(directory / KEY, private, 0o600)
    _write(directory / CERTIFICATE, server.public_bytes(pem) + authority.public_bytes(pem), 0o644)
    _write(directory / AUTHORITY, authority.public_bytes(pem), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step, never readable by others than `mode` says, not even for a moment."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
