"""Throw-away TLS files: made once, kept, renewed in time, and good for nothing but this machine."""

import os
import socket
import ssl
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from localdev import tls


def handshake(files: tls.TlsFiles, name: str) -> set[str]:
    """A strict client that trusts only our CA connects to a server with our leaf. Returns the names in the leaf."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    client = ssl.create_default_context(cafile=str(files.ca_bundle))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=_serve, args=(server, theirs))
        thread.start()
        try:
            with client.wrap_socket(ours, server_hostname=name) as connection:
                leaf = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
                names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
                return {str(name.value) for name in names}
        finally:
            ours.close()
            thread.join()


def _serve(context: ssl.SSLContext, connection: socket.socket) -> None:
    try:
        context.wrap_socket(connection, server_side=True).close()
    except OSError:
        connection.close()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_strict_client_accepts_it(tmp_path: Path, name: str) -> None:
    """As Python 3.13 checks certificates."""
    assert name in handshake(tls.ensure(tmp_path), name)


def test_another_name_is_refused(tmp_path: Path) -> None:
    """The leaf is for this machine."""
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls.ensure(tmp_path), "example.org")


def test_the_authority_can_sign_nothing_else(tmp_path: Path) -> None:
    """It is constrained to localhost, and its key is kept nowhere."""
    files = tls.ensure(tmp_path)
    authority = x509.load_pem_x509_certificate(files.ca_bundle.read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert x509.DNSName("localhost") in (constraints.value.permitted_subtrees or [])
    assert sorted(each.name for each in files.key.parent.iterdir()) == ["ca.pem", "certificate.pem", "key.pem"]
    assert os.name != "posix" or stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_it_is_made_once(tmp_path: Path) -> None:
    """The second call finds the first one's files."""
    first = tls.ensure(tmp_path).certificate.read_bytes()
    assert tls.ensure(tmp_path).certificate.read_bytes() == first


def test_it_is_renewed_before_it_ends(tmp_path: Path) -> None:
    """Two weeks before."""
    first = tls.ensure(tmp_path).certificate.read_bytes()
    assert tls.ensure(tmp_path, now=datetime.now(UTC) + timedelta(days=370)).certificate.read_bytes() == first
    assert tls.ensure(tmp_path, now=datetime.now(UTC) + timedelta(days=380)).certificate.read_bytes() != first


@pytest.mark.parametrize("broken", ["ca.pem", "certificate.pem", "key.pem"])
@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_broken_files_are_replaced(tmp_path: Path, broken: str, content: bytes | None) -> None:
    """Empty, unreadable or gone: a whole new set."""
    files = tls.ensure(tmp_path)
    path, first = files.key.parent / broken, files.certificate.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert "localhost" in handshake(tls.ensure(tmp_path), "localhost")
    assert files.certificate.read_bytes() != first


def test_files_of_two_sets_are_replaced(tmp_path: Path) -> None:
    """A key that does not belong to the certificate."""
    files, others = tls.ensure(tmp_path / "a"), tls.ensure(tmp_path / "b")
    mixed = others.key.read_bytes()
    files.key.write_bytes(mixed)
    assert "localhost" in handshake(tls.ensure(tmp_path / "a"), "localhost")
    assert files.key.read_bytes() != mixed


def test_several_may_make_it_at_once(tmp_path: Path) -> None:
    """All get the same whole set, and nothing else stays behind."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: tls.ensure(tmp_path).certificate.read_bytes(), range(8)))
    assert len(set(found)) == 1
    handshake(tls.ensure(tmp_path), "localhost")
    assert [each.name for each in tmp_path.iterdir()] == ["localhost"]
