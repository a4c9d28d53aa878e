"""No secret reaches a log, in any logger, traceback or process. It is known by shape, name or value."""

import base64
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from localdev import ports
from localdev.tenant import SampleTenant
from shared.accounts import EPOCH
from shared.log_redaction import REDACTED, RedactingFactory, Redactor, install, secrets_of
from shared.sealing import KeyRing
from shared.services import Services
from tests.running_app import RunningApp
from tests.security.all_flows import Flows
from tests.security.host_process import running_host

LIBRARIES = ("azure", "msal", "urllib3", "asyncio", "uvicorn")
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
LONG = "1.AXkAUqV0" + "aB3-_x" * 12
KEY = "Zm9v" * 21 + "Zm8="


def known_secrets(environment: dict[str, str], tenant: SampleTenant) -> set[str]:
    """Everything that must not be logged: what the tenant issued, and the secrets in the settings."""
    parts = dict(part.split("=", 1) for part in environment["AzureWebJobsStorage"].split(";") if part)
    keys = KeyRing.parse(environment["ENCRYPTION_KEYS"]).keys.values()
    encoded = {text for key in keys for text in (base64.urlsafe_b64encode(key).decode().rstrip("="), key.hex())}
    return tenant.issued_secrets() | {environment["CLIENT_SECRET"], parts["AccountKey"]} | encoded


def found_in(said: str, secrets: set[str]) -> list[str]:
    """The secrets that occur in the text."""
    assert len(secrets) > 20
    assert min(map(len, secrets)) >= 16
    return [secret for secret in secrets if secret in said]


def make_everybody_due(service: TableServiceClient) -> None:
    """Sets every due time as if an hour had passed, and takes the slots' marks away: everybody is listed anew."""
    for table, name, mode in (("Accounts", "DueAt", UpdateMode.MERGE), ("Slots", "NextDueAt", UpdateMode.REPLACE)):
        client = service.get_table_client(table)
        for row in client.list_entities(select=["PartitionKey", "RowKey"]):
            client.update_entity(dict(row) | {name: EPOCH}, mode=mode)


def test_no_flow_says_a_secret_in_this_process(
    app: RunningApp, environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Every logger at DEBUG, also those of the libraries that the app keeps quiet."""
    assert app.services
    for name in ("", *LIBRARIES):
        caplog.set_level(logging.DEBUG, name)

    def sweep() -> None:
        app.host.fire("sweep")

    held = Flows(app.url, app.tenant, lambda: app.clock.move(hours=2), sweep).run()
    said = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert len(caplog.records) > 100
    assert not found_in(said, known_secrets(environment, app.tenant) | held)


def test_no_flow_says_a_secret_on_stderr_of_a_process(
    environment: dict[str, str], sample_tenant: SampleTenant, tables: TableServiceClient, tmp_path: Path
) -> None:
    """The whole host as a developer runs it, at its most verbose level, which does log."""
    (port,) = ports.free(1)
    settings = environment | sample_tenant.settings(f"http://localhost:{port}")
    settings |= {"BASE_URL": f"http://localhost:{port}", "SWEEP_SCHEDULE": "0 0 0 1 1 *"}
    with running_host(tmp_path, settings, port) as host:
        held = Flows(host.url, sample_tenant, lambda: make_everybody_due(tables), host.sweep).run()
    said = "".join(host.said)
    assert "refused: 400" in said
    assert "sweep: " in said
    assert "DEBUG" in said
    assert not found_in(said, known_secrets(environment, sample_tenant) | held)


@pytest.fixture
def log() -> Iterator[Callable[..., str]]:
    """Logs one message through the factory to a handler that was added before it. Returns what the handler wrote."""
    before = logging.getLogRecordFactory()
    logger = logging.getLogger("tests.security")
    logger.propagate = False
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logging.setLogRecordFactory(RedactingFactory(logging.LogRecord, Redactor(["the-client-secret"])))

    def write(message: str, *args: object, **options: object) -> str:
        logger.error(message, *args, **options)  # type: ignore[arg-type]
        return lines[-1]

    yield write
    logging.setLogRecordFactory(before)
    logger.removeHandler(handler)
    logger.propagate = True


SECRETS = [
    (f"token {JWT}", JWT),
    (f"{JWT}.", JWT),
    (f'{{"refresh_token": "{LONG}"}}', LONG),
    (f"refresh_token={LONG}&scope=x", LONG),
    ("{'access_token': 'opaque123'}", "opaque123"),
    (f"GET /signin/callback?code={LONG}&state=x", LONG),
    ("GET /signin/callback?code=M.C507_BL2.2.U.0a1b2c3d4e5f&state=x", "M.C507_BL2.2.U.0a1b2c3d4e5f"),
    ("client_secret=abc~def", "abc~def"),
    ("client_assertion=a.b.c&x=y", "a.b.c"),
    ("Cookie: understudy=abc; other=def", "abc"),
    ("{'Set-Cookie': 'understudy=abc; path=/'}", "understudy=abc"),
    (f"Authorization: Bearer {JWT}", JWT),
    ("authorization='SharedKey account:c2lnbmF0dXJl'", "c2lnbmF0dXJl"),
    ("Bearer abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"),
    (f"AccountName=x;AccountKey={KEY};EndpointSuffix=y", KEY),
    ("https://x.table.core.windows.net/?sv=2024&sig=c2ln%2Bbg%3D", "c2ln%2Bbg%3D"),
    ("code_verifier: abcdefgh", "abcdefgh"),
    ("-----BEGIN PRIVATE KEY-----\nMIIE\nabc\n-----END PRIVATE KEY-----", "MIIE"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc", "abc"),
    ("wrong: the-client-secret!", "the-client-secret"),
    ("A" * 200, "A" * 60),
    (r"{\"refresh_token\": \"opaque123\"}", "opaque123"),
    (r'"{\\\"access_token\\\":\\\"opaque123\\\"}"', "opaque123"),
    ("%7B%22refresh_token%22%3A%20%22opaque123%22%7D", "opaque123"),
    (r'"{\u0022refresh_token\u0022:\u0022opaque123\u0022}"', "opaque123"),
    (r'"{\\u0022refresh_token\\u0022: \\u0022opaque123\\u0022}"', "opaque123"),
    (r"x\u0026client_secret\u003dopaque123", "opaque123"),
    ("%5C%22refresh_token%5C%22%3A%20%5C%22opaque123%5C%22", "opaque123"),
    ("%255C%2522refresh_token%255C%2522%253A%255C%2522opaque123%255C%2522", "opaque123"),
    ("next=/signin%3Frefresh_token%3Dopaque123%26x%3Dy", "opaque123"),
    ("next=/x%253Fa%253D1%2526client_secret%253Dopaque123", "opaque123"),
    (r"grant\u0026client_secret=opaque123", "opaque123"),
    (r"b'grant\nclient_secret=opaque123'", "opaque123"),
    (f"state%3Dx%26code%3D{'0.AXk_'[:6]}a1.b2.c3.d4.e5.f6.g7", "b2.c3.d4"),
    (r"{\"Authorization\": \"Bearer short-one\"}", "short-one"),
    ("Authorization%3A%20Bearer%20short-one", "short-one"),
    ("header=Bearer%20abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"),
    ("id%3DeyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl", "eyJzdWIiOiJhZGEifQ"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secret_in_a_message_is_taken_out(log: Callable[..., str], text: str, secret: str) -> None:
    """It may be in the message itself or in an argument."""
    for written in (log(text), log("%s", text), log("x %r", {"a": text})):
        assert secret not in written
        assert REDACTED in written


def test_secret_in_a_traceback_is_taken_out(log: Callable[..., str]) -> None:
    """This holds for the error and for its causes."""
    try:
        try:
            raise ValueError(f"refused {JWT}")
        except ValueError as error:
            raise RuntimeError("client_secret=hidden") from error
    except RuntimeError:
        written = log("failed", exc_info=True)
    assert "RuntimeError" in written
    assert "Traceback" in written
    assert JWT not in written
    assert "hidden" not in written


@pytest.mark.parametrize(
    "text",
    [
        "GET /signin/callback refused: 400 unknown_flow (reference 0f3a9c)",
        "status code: 404",
        "status%20code%3A%20404",
        'a design=3 of {\\"name\\": \\"Ada\\"}',
        "sweep: fresh=12 sign_in_required=1 in 2.0 s over 16 slots",
        "3f0c1a52-7a43-4c1e-9d55-6b1f0c0a0001.8e2d5b90-1c7f-4f6a-a3b2-2d9e4f0b0002",
        "/home/site/wwwroot/.python_packages/lib/site-packages/azure/data/tables/_table_client.py",
        "tenant 3f0c1a52-7a43-4c1e-9d55-6b1f0c0a0001 is skipped: misconfigured 700016",
    ],
)
def test_what_operators_need_to_read_stays(log: Callable[..., str], text: str) -> None:
    """Codes, counts, ids and paths."""
    assert log("%s", text) == text


def test_name_in_front_of_a_secret_stays() -> None:
    """It says what was there."""
    assert Redactor()("a=1&refresh_token=opaque123&x=y") == f"a=1&refresh_token={REDACTED}&x=y"


def test_short_values_of_settings_stay() -> None:
    """They would match plain words."""
    assert Redactor(["sweep", "the-client-secret"])("sweep: the-client-secret") == f"sweep: {REDACTED}"


def test_secret_in_a_printed_stack_is_taken_out(log: Callable[..., str]) -> None:
    """A stack shows lines of source code; this one holds a secret."""
    written = log("here", stack_info=True, extra={"note": "client_secret=hidden"})
    assert "Stack (most recent call last)" in written
    assert "client_secret=[redacted]" in written
    assert "hidden" not in written


def test_lines_of_a_template_stay(log: Callable[..., str]) -> None:
    """Who wrote the template meant them."""
    assert log("first\nsecond %s", "x") == "first\nsecond x"


def test_argument_begins_no_new_line(log: Callable[..., str]) -> None:
    """No name or path can forge a log line, and escape sequences do not reach the terminal."""
    written = log("refused %s", "x\r\n2026-01-01 INFO admin signed in\x1b[2J\u2028y")
    assert "\n" not in written
    assert "\r" not in written
    assert "\x1b" not in written
    assert "\\x0d\\x0a2026-01-01" in written


def test_message_that_can_not_be_put_together_shows_no_argument(
    log: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """logging itself would print the arguments to stderr."""
    assert "secret" not in log("%d", "secret")
    assert "secret" not in capsys.readouterr().err


def test_clean_record_keeps_its_template_and_arguments(log: Callable[..., str]) -> None:
    """Tools can still group lines by template."""
    record = logging.getLogRecordFactory()("x", logging.INFO, "", 1, "%s people", (3,), None)
    assert (record.msg, record.args) == ("%s people", (3,))


def test_settings_show_no_secret(make_services: Callable[..., Services], environment: dict[str, str]) -> None:
    """Neither a repr nor a log line shows one, and all secrets are known."""
    settings = make_services().settings
    secrets = secrets_of(settings)
    assert environment["CLIENT_SECRET"] in secrets
    assert environment["AzureWebJobsStorage"].split("AccountKey=")[1].split(";")[0] in secrets
    assert environment["ENCRYPTION_KEYS"].split(":")[1] in secrets
    assert not [each for each in secrets if each and each in repr(settings)]


@pytest.fixture
def no_factory_of_ours() -> Iterator[None]:
    """Records are made as Python makes them, and libraries may log, until the app installs its factory."""
    before = logging.getLogRecordFactory()
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    logging.setLogRecordFactory(logging.LogRecord)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET)
    yield
    logging.setLogRecordFactory(before)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_second_app_of_a_process_adds_its_secrets_to_the_one_factory(
    make_services: Callable[..., Services], no_factory_of_ours: None
) -> None:
    """A factory around a factory would clean each record once more per app."""
    settings = [make_services(CLIENT_SECRET=f"secret-number-{number}").settings for number in range(2)]
    logging.setLogRecordFactory(logging.LogRecord)
    install(settings[0])
    factory = logging.getLogRecordFactory()
    install(settings[1])
    assert logging.getLogRecordFactory() is factory
    record = factory("x", logging.INFO, "", 1, "secret-number-0 secret-number-1", None, None)
    assert record.getMessage() == f"{REDACTED} {REDACTED}"


def test_libraries_are_quiet_however_much_the_app_logs(
    make_services: Callable[..., Services], no_factory_of_ours: None, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG they log requests, with their headers, and cache events."""
    caplog.set_level(logging.DEBUG)
    assert logging.getLogger("msal.token_cache").isEnabledFor(logging.DEBUG)
    install(make_services().settings)
    assert not any(logging.getLogger(name).isEnabledFor(logging.INFO) for name in ("azure.core", "msal", "urllib3.x"))


def test_addresses_in_a_connection_string_are_no_secrets(make_services: Callable[..., Services]) -> None:
    """Operators need to read which storage account did not answer."""
    address = "https://an-account-with-a-long-name.table.core.windows.net/"
    storage = f"AccountName=x;AccountKey={KEY};TableEndpoint={address}"
    secrets = secrets_of(make_services(AzureWebJobsStorage=storage).settings)
    assert KEY in secrets
    assert address not in secrets


def test_libraries_are_kept_quiet(app: RunningApp) -> None:
    """They stay quiet even at DEBUG."""
    assert app.services
    for name in ("azure.core.pipeline.policies.http_logging_policy", "msal.token_cache", "urllib3.connectionpool"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
