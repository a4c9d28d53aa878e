"""Child processes that can't outlive their parent. The parent holds the writing end of a pipe; the child's standard
input is the reading end. When the parent closes the pipe or exits, the child interrupts itself as Ctrl+C would. This
works on every system; signals and process groups don't.

Run as ``python -m localdev.lifeline <module> <arguments>`` it runs a module this way;
``python -m localdev.lifeline --program <program> <arguments>`` does so for another program and its child processes.
"""

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_STOP_SECONDS = 8.0
PROGRAM = "--program"


class Child:
    """One child under a lifeline.

    Args:
        output: where its output goes: subprocess.PIPE, which the caller must read, or a file. None: to our own output.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        python: str | Path = sys.executable,
        environment: Mapping[str, str] | None = None,
        output: int | IO[bytes] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [str(python), "-m", "localdev.lifeline", *command],
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            # Ctrl+C in a terminal is for the parent, which stops its children in the right order.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def hang_up(self) -> None:
        """Asks the child to exit."""
        # If the process has already exited, its end of the pipe is closed.
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()

    def stop(self) -> int:
        """Stops the child, by force if it takes longer than a few seconds. Returns its exit code."""
        self.hang_up()
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _when_parent_hangs_up(act: Callable[[], None]) -> None:
    def watch() -> None:
        # Not sys.stdin: the interpreter crashes at exit while a thread is still reading it.
        while os.read(0, 4096):
            pass
        act()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _interrupt_myself() -> None:
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)
    else:
        # To the main thread: it may wait in a system call that only a signal to this thread interrupts.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def run_module(module: str, arguments: Sequence[str]) -> int:
    """Runs a module as ``python -m`` would and returns its exit code. Interrupts it when the parent closes the pipe."""
    # Shells start background jobs with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _when_parent_hangs_up(_interrupt_myself)
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def run_program(command: Sequence[str]) -> int:
    """Runs a program until it exits or the parent closes the pipe, then ends its children. Returns its exit code."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    hung_up = threading.Event()
    _when_parent_hangs_up(hung_up.set)
    while process.poll() is None and not hung_up.wait(0.1):
        pass
    _end_tree(process)
    return process.wait()


def _end_tree(process: subprocess.Popen[bytes]) -> None:
    """Asks the process to exit, then kills whatever is left of it and its children."""
    if process.poll() is None:
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS - 2)
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/t", "/f", "/pid", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def main() -> int:
    """The command line of the module's docstring."""
    first, *rest = sys.argv[1:]
    return run_program(rest) if first == PROGRAM else run_module(first, rest)


if __name__ == "__main__":
    sys.exit(main())
