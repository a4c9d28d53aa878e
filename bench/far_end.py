"""Runs the token endpoint as a process, and controls it."""

import asyncio
import json
import os
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import urllib3

from bench import tokens
from bench.endpoint import Counts
from localdev import tls
from localdev.lifeline import Child

PROJECT = Path(__file__).resolve().parents[1]


class FarEnd:
    """Runs `python -m bench.endpoint` from entering to leaving. The process ends with this one at the latest."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="understudy-bench-")
        self._files = tls.ensure(Path(self._folder.name))
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._child = Child(
            ["bench.endpoint", "--tls", self._folder.name],
            folder=PROJECT,
            environment=environment,
            output=subprocess.PIPE,
        )
        output = self._child.process.stdout
        assert output, "it is a pipe"
        first = output.readline()
        if not first.strip().isdigit():
            raise RuntimeError(f"the token endpoint did not start: {(first + output.read()).decode()}")
        self.port = int(first)
        self._http = urllib3.PoolManager(ca_certs=str(self._files.ca_bundle))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.clear()
        self._child.stop()
        if self._child.process.stdout:
            self._child.process.stdout.close()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """The address of the endpoint, which is Graph's too."""
        return f"https://localhost:{self.port}"

    @property
    def authority(self) -> str:
        """The authority for MSAL."""
        return f"{self.url}/{tokens.TENANT_ID}"

    @property
    def ca_bundle(self) -> str:
        """Path of a PEM file with the CA behind `url`."""
        return str(self._files.ca_bundle)

    def reset(self, *, latency: float) -> None:
        """Sets the counts to zero. From now on a token request is answered after `latency` seconds."""
        self._request("POST", f"/control/reset?latency={latency}")

    def counts(self) -> Counts:
        """Returns what happened since the last reset."""
        return Counts(**json.loads(self._request("GET", "/control/counts")))

    def measure_ceiling(self, *, answers: int, connections: int = 64) -> tuple[float, float]:
        """Measures what the endpoint can do for a client that only counts bytes.

        Returns:
            Token answers per second, and per CPU second of the endpoint's process.
        """
        self.reset(latency=0.0)
        before = self.counts().cpu_seconds
        context = ssl.create_default_context(cafile=self.ca_bundle)
        seconds = asyncio.run(_send_requests(self.port, context, answers=answers, connections=connections))
        return answers / seconds, answers / (self.counts().cpu_seconds - before)

    def _request(self, method: str, path: str) -> bytes:
        return self._http.request(method, self.url + path, timeout=10.0).data


async def _send_requests(port: int, context: ssl.SSLContext, *, answers: int, connections: int) -> float:
    """Sends so many token requests, one after the other on each connection. Returns the seconds that they took."""
    streams = [await asyncio.open_connection("localhost", port, ssl=context) for _ in range(connections)]
    request = _token_request()

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, times: int) -> None:
        for _ in range(times):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.rsplit(b"Content-Length:", 1)[1].split(b"\r\n", 1)[0]))

    began = time.monotonic()
    shares = [answers // connections + (index < answers % connections) for index in range(connections)]
    await asyncio.gather(*(send(*stream, share) for stream, share in zip(streams, shares, strict=True)))
    seconds = time.monotonic() - began
    for _, writer in streams:
        writer.close()
        await writer.wait_closed()
    return seconds


def _token_request() -> bytes:
    """A request as large as MSAL's."""
    token = tokens.refresh_token(tokens.object_id(0), 0)
    scope = "openid+offline_access+profile+User.Read"
    form = f"grant_type=refresh_token&client_id={tokens.CLIENT_ID}&client_secret=not-looked-at&scope={scope}"
    body = f"{form}&client_info=1&refresh_token={token}".encode()
    head = f"POST /{tokens.TENANT_ID}/oauth2/v2.0/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Accept: application/json\r\nx-client-sku: MSAL.Python\r\n\r\n" + body
