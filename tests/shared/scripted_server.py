"""A server for tests that answers each request with the next of some prepared answers."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = bytes | Callable[[socket.socket], None]


def _whole_request(connection: socket.socket) -> bytes:
    """Reads head and body, which may come in several pieces; b"" when the client closed the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head.lower())
    while found and len(body) < int(found[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def answering(*connections: Answer | list[Answer]) -> Iterator[tuple[str, list[bytes]]]:
    """Takes one connection after the other, and closes each after its answers.

    Args:
        connections: for each connection its answer, or its answers.

    Yields:
        The server's address, and the list of requests that have come.
    """
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        for answers in connections:
            connection, _ = listener.accept()
            with connection:
                for answer in answers if isinstance(answers, list) else [answers]:
                    requests.append(_whole_request(connection))
                    if callable(answer):
                        answer(connection)
                    else:
                        connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", requests
    finally:
        thread.join(10)
        listener.close()
