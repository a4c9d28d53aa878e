"""Limits how fast this process asks the token endpoint: a Retry-After, or failures in a row, pause all threads."""

import threading
import time
from collections.abc import Callable

from shared.accounts import Outcome, Verdict

_FAILURES_BEFORE_PAUSE = 5
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 120.0
_DEFAULT_RETRY_AFTER_SECONDS = 10.0
_ANSWERS = (Outcome.FRESH, Outcome.SIGN_IN_REQUIRED, Outcome.MISCONFIGURED)


class RateLimit:
    """The limit that all threads of a sweep share.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._failures = 0

    def seconds_to_wait(self) -> float:
        """The rest of the pause; 0.0 when there is none."""
        return max(self._not_before - self._clock(), 0.0)

    def learn(self, verdict: Verdict, *, sent: bool) -> None:
        """Begins a pause, or ends a row of failures, according to an acquisition's verdict.

        A failure during a pause does not count: its request was sent before the pause began.

        Args:
            sent: was a token request sent? Without one, the verdict says nothing about the endpoint.
        """
        with self._lock:
            if verdict.outcome is Outcome.THROTTLED:
                self._pause(verdict.retry_after or _DEFAULT_RETRY_AFTER_SECONDS)
            elif verdict.outcome is Outcome.UNAVAILABLE and not self.seconds_to_wait():
                self._failures += 1
                if self._failures >= _FAILURES_BEFORE_PAUSE:
                    doublings = min(self._failures // _FAILURES_BEFORE_PAUSE - 1, 10)
                    self._pause(min(_FIRST_PAUSE_SECONDS * (1 << doublings), _LONGEST_PAUSE_SECONDS))
            elif sent and verdict.outcome in _ANSWERS:
                self._failures = 0

    def _pause(self, seconds: float) -> None:
        self._not_before = max(self._not_before, self._clock() + seconds)
