"""MSAL and HTTP alone: MSAL's default client (requests), discovery shared, caches in memory, no storage, no sealing.

What a sweep costs beyond this is the app's own.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from msal import ConfidentialClientApplication, SerializableTokenCache
from requests.adapters import HTTPAdapter

from bench import tokens
from bench.baseline import Pass
from bench.rig import Rig


class Floor:
    """Redeems people's tokens in so many threads; each thread keeps its connection and what it has discovered."""

    def __init__(self, rig: Rig, *, threads: int) -> None:
        self._authority = rig.far_end.authority
        self._threads = threads
        self._own = threading.local()
        self._sessions: list[requests.Session] = []

    def over(self, caches: Sequence[str]) -> Pass:
        """All of these people once."""
        began, cpu = time.monotonic(), time.process_time()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="floor") as pool:
            done = sum(pool.map(self._turn, caches))
        passed = Pass(done, time.monotonic() - began, time.process_time() - cpu)
        while self._sessions:
            self._sessions.pop().close()
        return passed

    def _turn(self, text: str) -> int:
        cache = SerializableTokenCache()
        cache.deserialize(text)
        application = self._application(cache)
        result = application.acquire_token_silent_with_error(["User.Read"], application.get_accounts()[0])
        if not result or "access_token" not in result:
            raise RuntimeError(f"the floor got no token: {result}")
        return len(cache.serialize()) and 1

    def _application(self, cache: SerializableTokenCache) -> ConfidentialClientApplication:
        session, discovered = self._kept()
        return ConfidentialClientApplication(
            tokens.CLIENT_ID,
            client_credential="not-looked-at",
            authority=self._authority,
            instance_discovery=False,
            token_cache=cache,
            http_client=session,
            http_cache=discovered,
        )

    def _kept(self) -> tuple[requests.Session, dict[str, Any]]:
        """This thread's own: made as MSAL makes its default client."""
        if not hasattr(self._own, "session"):
            self._own.session, self._own.discovered = requests.Session(), {}
            self._own.session.mount("https://", HTTPAdapter(max_retries=1))
            self._sessions.append(self._own.session)
        return self._own.session, self._own.discovered
