"""Throw-away TLS files for localhost: MSAL refuses an authority that is not https. The CA signs one leaf only. Its
private key is never written, and it is constrained to localhost.
"""

import ipaddress
import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=390)
RENEW_BEFORE = timedelta(days=14)
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")
_SIGNING = {"key_cert_sign": True, "crl_sign": True, "digital_signature": False}
_SERVING = {"key_cert_sign": False, "crl_sign": False, "digital_signature": True}


@dataclass(frozen=True)
class TlsFiles:
    """Paths of PEM files. `ca_bundle` can be used as REQUESTS_CA_BUNDLE: it holds only our CA."""

    ca_bundle: Path
    certificate: Path
    key: Path


def ensure(folder: Path, *, now: datetime | None = None) -> TlsFiles:
    """Returns the files in `folder`. Makes them when they are absent, unreadable or about to expire. Two processes may
    call this at once."""
    now = now or datetime.now(UTC)
    files = _files(folder / "localhost")
    if not _usable(files, now):
        _replace(folder, now)
    return files


def _files(home: Path) -> TlsFiles:
    return TlsFiles(ca_bundle=home / "ca.pem", certificate=home / "certificate.pem", key=home / "key.pem")


def _usable(files: TlsFiles, now: datetime) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        authority = x509.load_pem_x509_certificate(files.ca_bundle.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        leaf.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    ours = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == leaf.public_key()
    return ours and now < leaf.not_valid_after_utc - RENEW_BEFORE


def _replace(folder: Path, now: datetime) -> None:
    """Makes a whole new set elsewhere and moves it in at once: nobody sees one set's certificate with another's key."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    fresh, stale, home = folder / f"new-{mark}", folder / f"old-{mark}", folder / "localhost"
    _write(fresh, now)
    try:
        if home.exists() and not _usable(_files(home), now):
            home.rename(stale)
        fresh.rename(home)
    except OSError:
        if not _usable(_files(home), now):  # it is fine when another process was faster; anything else is an error
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(stale, ignore_errors=True)


def _write(home: Path, now: datetime) -> None:
    home.mkdir()
    ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _authority(ca_key, now)
    files = _files(home)
    files.ca_bundle.write_bytes(_pem(authority))
    files.certificate.write_bytes(_pem(_leaf(leaf_key, ca_key, authority, now)))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _start(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, key_cert_sign: bool, crl_sign: bool, digital_signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    # Each CA has another name: a client that kept an older CA must not mistake this one for it.
    name = _name(f"Understudy sample tenant {secrets.token_hex(4)}")
    permitted = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Network((_LOOPBACK, 32)))]
    return (
        _start(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(**_SIGNING), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey, ca_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, now: datetime
) -> x509.Certificate:
    names = [x509.DNSName("localhost"), x509.IPAddress(_LOOPBACK)]
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _start(_name("localhost"), authority.subject, key, now)
        .add_extension(identifier, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(**_SERVING), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
