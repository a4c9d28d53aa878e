"""The floor: MSAL and its default HTTP client (requests) alone. Discovery is cached, token caches are in memory, and
nothing is stored or sealed. What a sweep costs beyond this is the app's own cost.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
from msal import ConfidentialClientApplication, SerializableTokenCache
from requests.adapters import HTTPAdapter

from bench import tokens
from bench.baseline import Pass
from bench.rig import Rig


class Floor:
    """Redeems people's tokens in `threads` threads. Each thread keeps its connections and discovery documents."""

    def __init__(self, rig: Rig, *, threads: int) -> None:
        self._authority = rig.far_end.authority
        self._threads = threads
        self._own = threading.local()
        self._sessions: list[requests.Session] = []

    def redeem(self, caches: Sequence[str]) -> Pass:
        """Redeems the refresh token of each of these caches once."""
        began, cpu = time.monotonic(), time.process_time()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="floor") as pool:
            done = sum(pool.map(self._redeem_one, caches))
        passed = Pass(done, time.monotonic() - began, time.process_time() - cpu)
        while self._sessions:
            self._sessions.pop().close()
        return passed

    def _redeem_one(self, text: str) -> int:
        if not hasattr(self._own, "session"):  # as MSAL makes its default client
            self._own.session, self._own.discovered = requests.Session(), {}
            self._own.session.mount("https://", HTTPAdapter(max_retries=1))
            self._sessions.append(self._own.session)
        cache = SerializableTokenCache()
        cache.deserialize(text)
        application = ConfidentialClientApplication(
            tokens.CLIENT_ID,
            client_credential="not-looked-at",
            authority=self._authority,
            instance_discovery=False,
            token_cache=cache,
            http_client=self._own.session,
            http_cache=self._own.discovered,
        )
        result = application.acquire_token_silent_with_error(["User.Read"], application.get_accounts()[0])
        if not result or "access_token" not in result:
            raise RuntimeError(f"the floor got no token: {result}")
        return len(cache.serialize()) and 1
