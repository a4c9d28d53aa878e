"""One entry for a developer's machine; only Python 3.11, 3.12 or 3.13 is needed.

python3 dev.py run      the app at http://localhost:7071, with a sample tenant and storage
python3 dev.py demo     the main job, start to end, without hands (--json: one JSON object)
python3 dev.py test     everything CI runs; arguments go to pytest alone (--long: far more of it, for a night)
python3 dev.py bench    benchmarks (--json: one JSON object)
python3 dev.py check    format, lint, types, policies over infra/, known vulnerabilities
python3 dev.py keys     "keys new" prints a new encryption key
python3 dev.py task     runs one task for one sample person: "task morning_digest --as ben --dry-run"
python3 dev.py guards   takes guards out one at a time; says which no test missed ("guards session": one module's)

It makes its own virtual environment in .venv on first use. Arguments go through to the command.
"""

# Older Pythons must be able to parse this file, so that they can say that they are too old: no newer syntax here.
import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent
PYTHONS = ((3, 11), (3, 12), (3, 13))
CANNOT = 2  # the exit code when nothing ran: wrong usage, or something is missing

COMMANDS = ("run", "demo", "test", "bench", "check", "keys", "task", "guards")
MODULES = {
    "run": "localdev.run",
    "demo": "localdev.demo",
    "bench": "bench",
    "keys": "localdev.keys",
    "task": "localdev.task_run",
    "guards": "tests.security.guards",
}
# These start servers. A lifeline (localdev/lifeline.py) ends them with this process.
SERVERS = ("run", "demo")
SIDE_BY_SIDE = ("-n", "4", "--dist", "worksteal")  # also on two cores: tests wait as much as they compute
LONG = "--long"
WITHOUT_HURRY = ("-o", "faulthandler_timeout=3600")  # a long test is no test that hangs
STOPPED = 128  # and more: a signal ended it
CHECKS = (
    ("format", ["ruff", "format", "--check", "."]),
    ("lint", ["ruff", "check", "."]),
    ("types", ["mypy", "."]),
    ("infra", ["localdev.infra_check"]),
    ("audit", ["localdev.audit"]),
)


def main(arguments: "list[str]") -> int:
    """Runs one command; returns its exit code."""
    refused = refusal(sys.version_info[:2])
    if refused:
        return complain(refused)
    if not arguments or arguments[0] in ("-h", "--help"):
        print((__doc__ or "").strip())
        return 0 if arguments else CANNOT
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        return complain(f"dev.py: no command {command!r}; there are {', '.join(COMMANDS)}")
    return prepare() or act(command, rest)


def refusal(version: "tuple[int, int]") -> "str | None":
    """Why this Python can't be used, or None when it can."""
    if version in PYTHONS:
        return None
    known = ", ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    return f"dev.py: this is Python {version[0]}.{version[1]}; it needs one of {known}"


def complain(line: str) -> int:
    """Prints one line to stderr and returns the exit code for it."""
    print(line, file=sys.stderr)
    return CANNOT


def prepare() -> int:
    """Makes the virtual environment current. Returns 0, or the exit code to end with."""
    # Not at the top: these modules need a supported Python.
    from localdev.environment import Environment, InstallError
    from localdev.progress import Progress

    try:
        Environment(PROJECT).ensure(Progress(sys.stderr))
    except InstallError as error:
        return complain(f"dev.py: {error}")
    except KeyboardInterrupt:
        complain("dev.py: interrupted; the next run repairs what is half done")
        return 128 + signal.SIGINT
    return 0


def act(command: str, rest: "list[str]") -> int:
    """Runs the command and returns its exit code."""
    if command in SERVERS:
        return run_server([MODULES[command], *rest])
    if command == "check":
        return check()
    if command == "test":
        return test(rest)
    return run_module([MODULES[command], *rest])


def test(rest: "list[str]") -> int:
    """Runs the tests that the arguments choose; without a choice, all tests, and the checks beside them.

    Both end, also when one fails: one run shows everything that must be fixed. The checks' lines come last.
    """
    import os
    import tempfile

    chosen = [argument for argument in rest if argument != LONG]
    hurry = [] if len(chosen) == len(rest) else WITHOUT_HURRY
    if hurry:
        os.environ["UNDERSTUDY_LONG"] = "1"
    if chosen:
        return run_module(["pytest", *hurry, *chosen])
    with tempfile.TemporaryFile() as said:
        command = [sys.executable, str(PROJECT / "dev.py"), "check"]
        checks = subprocess.Popen(command, cwd=PROJECT, stdout=said, stderr=subprocess.STDOUT)
        tested = run_module(["pytest", *hurry, *SIDE_BY_SIDE])
        if tested >= STOPPED:
            checks.terminate()
        checked = exit_code(checks)
        said.seek(0)
        print(said.read().decode("utf-8", "replace"), end="", flush=True)
    return tested or checked


def check() -> int:
    """Runs every check and prints each result. Returns 0 when all passed."""
    results = {}
    for name, command in CHECKS:
        print(f"-- {name}: {' '.join(command)}", flush=True)
        results[name] = run_module(command)
        if results[name] >= STOPPED:
            return results[name]
    print("-- " + ", ".join(f"{name} {'FAILED' if code else 'ok'}" for name, code in results.items()), flush=True)
    return int(any(results.values()))


def run_module(command: "list[str]") -> int:
    """Runs ``python -m`` with the environment's interpreter and returns its exit code."""
    from localdev.environment import Environment

    child = subprocess.Popen([str(Environment(PROJECT).python), "-m", *command], cwd=PROJECT)
    # Ctrl+C in a terminal has already reached the child. On Windows there is no other signal.
    reached = sys.platform == "win32" or (sys.stdin is not None and sys.stdin.isatty())
    signal.signal(signal.SIGINT, lambda number, _: None if reached else child.send_signal(number))
    signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number))
    return exit_code(child)


def run_server(command: "list[str]") -> int:
    """Runs ``python -m`` on a lifeline until it exits or we are told to stop. Returns its exit code."""
    from localdev.environment import Environment
    from localdev.lifeline import Child

    child = Child(command, folder=PROJECT, python=Environment(PROJECT).python)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: child.hang_up())
    return exit_code(child.process)


def exit_code(child: "subprocess.Popen[bytes]") -> int:
    """Waits for the child and returns its exit code, or 128 plus the signal's number as shells do."""
    while True:
        try:
            # Wait in short steps: on Windows a signal handler runs only between them.
            code = child.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
        return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
