"""A token endpoint over TLS that answers with the bytes that a test gives it."""

import contextlib
import json
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from localdev import tls

TENANT = "3f0c1a52-7a43-4c1e-9d55-6b1f0c0a0001"


class OddEndpoint:
    """Serves one authority; `answer` is the whole HTTP response of its token endpoint.

    Args:
        folder: for its certificate.
    """

    def __init__(self, folder: Path) -> None:
        self._files = tls.ensure(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self._files.certificate, self._files.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.answer = b""

    @property
    def authority(self) -> str:
        """The authority's URL."""
        return f"https://localhost:{self._listening.getsockname()[1]}/{TENANT}"

    @property
    def ca_bundle(self) -> str:
        """The CA behind it."""
        return str(self._files.ca_bundle)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), raw, self._context.wrap_socket(raw, server_side=True) as connection:
                head, body = b"", b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                head, _, body = head.partition(b"\r\n\r\n")
                length = next(
                    (int(each[15:]) for each in head.lower().split(b"\r\n") if each[:15] == b"content-length:"), 0
                )
                while len(body) < length:
                    body += connection.recv(65536)
                connection.sendall(self.answer if head.startswith(b"POST") else self._discovery())

    def _discovery(self) -> bytes:
        document = {
            "issuer": f"{self.authority}/v2.0",
            "authorization_endpoint": f"{self.authority}/oauth2/v2.0/authorize",
            "token_endpoint": f"{self.authority}/oauth2/v2.0/token",
            "jwks_uri": f"{self.authority}/discovery/v2.0/keys",
        }
        return http_answer(200, json.dumps(document).encode())


def http_answer(status: int, body: bytes, headers: bytes = b"") -> bytes:
    """A whole HTTP/1.1 response."""
    return b"HTTP/1.1 %d Odd\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s" % (
        status,
        len(body),
        headers,
        body,
    )
