"""The app's parts in a process of their own, to race with others or to be killed: `python -m tests.reliability.racer`.

    browse <account id> …   asks for tokens for these people with four threads, until standard input ends
    sweep-on <seconds>      sweeps whatever is due, again and again, until standard input ends, with a clock that many
                            seconds ahead
    sweep-once <seconds>    says "ready", waits for a line, and sweeps once, with a clock that many seconds ahead
    sweep-many <n>          sweeps n times, an hour apart, and prints what the process holds after twenty and at the end

Settings come from the environment.
"""

import gc
import json
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from shared.accounts import Account
from shared.errors import TryLater
from shared.services import Services
from shared.settings import load
from shared.sweep_queue import due_slots
from tests.running_app import Clock
from timer_worker.sweep import Sweep

_WARM = 20


def main(arguments: Sequence[str]) -> None:
    """Runs one command."""
    command, *rest = arguments
    app = Services(load(os.environ), now=Clock())
    commands: dict[str, Callable[[Services, list[str]], None]] = {
        "browse": browse,
        "sweep-on": sweep_on,
        "sweep-once": sweep_once,
        "sweep-many": sweep_many,
    }
    commands[command](app, rest)


def browse(app: Services, people: list[str]) -> None:
    """Requests of people who are present, one right after another."""
    over = until_told()

    def visit() -> None:
        while not over.is_set():
            account = app.store.get(random.choice(people))  # noqa: S311 - no secret
            assert isinstance(account, Account)
            try:
                app.access.acquire_token(account)
            except TryLater as error:
                assert error.code == "busy", error.code  # noqa: PT017 - no lease for a quarter of a minute

    together([visit] * 4)


def sweep_on(app: Services, rest: list[str]) -> None:
    """Sweeps people who are away, as soon as they are due."""
    app.now = app.lease_clock = Clock(timedelta(seconds=float(rest[0])))
    over = until_told()
    while not over.is_set():
        Sweep(app, tasks=()).run(due_slots(app.store, app.now()))
        time.sleep(0.05)


def sweep_once(app: Services, rest: list[str]) -> None:
    """One sweep with its tasks. The parent process may kill us at any moment."""
    app.now = app.lease_clock = Clock(timedelta(seconds=float(rest[0])))
    say({"ready": app.settings.client_id != ""})
    sys.stdin.readline()
    Sweep(app).run(due_slots(app.store, app.now()))
    say({"swept": True})


def sweep_many(app: Services, rest: list[str]) -> None:
    """Sweeps everybody, again and again."""
    clock = Clock()
    app.now = app.lease_clock = clock
    held = []
    for number in range(1, int(rest[0]) + 1):
        clock.move(minutes=75)
        record = Sweep(app).run(due_slots(app.store, app.now()))
        assert record
        assert set(record.counts) == {"fresh"}, record
        if number in (_WARM, int(rest[0])):
            held.append(holds())
    say({"after": held})


def holds() -> dict[str, int]:
    """What this process uses: open files, threads, blocks of Python's allocator, and pages of memory."""
    gc.collect()
    re.purge()  # a cache with an end: each transaction's boundary is compiled once
    files = len(list(Path("/proc/self/fd").iterdir()))
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    blocks = sys.getallocatedblocks()
    return {"files": files, "threads": threading.active_count(), "blocks": blocks, "pages": pages}


def until_told() -> threading.Event:
    """Set when standard input ends."""
    over = threading.Event()

    def listen() -> None:
        say({"ready": True})
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    return over


def together(jobs: Sequence[Callable[[], None]]) -> None:
    """Runs these functions in threads. The process fails when one of them does."""
    failures: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def say(what: object) -> None:
    """Prints one line of JSON for the parent process."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
