"""Certificates with which an app authenticates instead of a secret."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class ClientCertificate:
    """PEM texts, and hexadecimal thumbprints as MSAL takes them."""

    private_key: str
    certificate: str

    @classmethod
    def make(cls, name: str, key: CertificateIssuerPrivateKeyTypes | None = None) -> "ClientCertificate":
        """Makes a self-signed certificate that is valid for one year; for a new RSA key, if none is given."""
        key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(key, hashes.SHA256())
        )
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        return cls(pem.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())

    @staticmethod
    def parse(pem: str) -> x509.Certificate:
        """The first certificate in a PEM text."""
        return x509.load_pem_x509_certificate(pem.encode())

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate."""
        return self.parse(self.certificate)

    @property
    def thumbprint(self) -> str:
        """SHA-1, as older clients name it."""
        return self.parsed.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303  # a name, not a safeguard
