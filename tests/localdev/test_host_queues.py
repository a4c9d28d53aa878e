"""Queue triggers, against Azurite."""

import asyncio
import base64
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient

from localdev.azurite import Azurite
from localdev.host import HostConfig, IndexingError, LocalHost, QueueOptions, index
from localdev.host.invocation import Invoker
from localdev.host.queues import QueueListener
from tests.localdev.host_apps import new_app, serving


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """The connection string of this module's Azurite."""
    with Azurite() as azurite:
        yield azurite.connection_string


@pytest.fixture
def queues(storage: str) -> Iterator["Queues"]:
    """A new queue."""
    chosen = Queues(storage, f"q{uuid.uuid4().hex[:12]}")
    yield chosen
    chosen.close()


class Queues:
    """A queue and its poison queue, used without the host."""

    def __init__(self, connection: str, name: str) -> None:
        self.settings = {"AzureWebJobsStorage": connection}
        self.name = name
        self.main = QueueClient.from_connection_string(connection, name)
        self.poison = QueueClient.from_connection_string(connection, f"{name}-poison")

    def close(self) -> None:
        """Close the connections."""
        self.main.close()
        self.poison.close()

    def send(self, *texts: str) -> None:
        """Put messages, base64-encoded as the host expects them."""
        self.send_raw(*(base64.b64encode(text.encode()).decode() for text in texts))

    def send_raw(self, *texts: str) -> None:
        """Put messages unchanged."""
        for text in texts:
            self.main.send_message(text)

    def left(self) -> int:
        """The number of messages in the queue, hidden ones included."""
        return int(self.main.get_queue_properties().approximate_message_count or 0)

    def poisoned(self) -> list[str]:
        """The messages in the poison queue."""
        try:
            return [str(message.content) for message in self.poison.peek_messages(32)]
        except ResourceNotFoundError:
            return []

    def app(self, handler: Callable[..., Any], **options: Any) -> func.FunctionApp:
        """One queue function, `work`."""
        app = new_app()
        binding = {"arg_name": "message", "queue_name": self.name, "connection": "AzureWebJobsStorage", **options}
        app.function_name("work")(app.queue_trigger(**binding)(handler))
        return app

    def serving(self, handler: Callable[..., Any], *, triggers: bool = False, **options: Any) -> Any:
        """The function behind a host."""
        config = HostConfig(queues=QueueOptions(**options))
        return serving(self.app(handler), host_json=config, settings=self.settings, triggers=triggers)


def failing(message: func.QueueMessage) -> None:
    """A handler that always raises."""
    raise ValueError(message.id)


def test_a_message_reaches_its_handler_and_is_deleted(queues: Queues) -> None:
    """The host makes the queue when it is absent."""
    got: list[func.QueueMessage] = []

    def handler(message: func.QueueMessage) -> None:
        got.append(message)

    before = datetime.now(UTC).replace(microsecond=0)
    with queues.serving(handler) as host:
        assert host.drain("work") == 0
        queues.send('{"slot": "é"}')
        assert host.drain("work") == 1
    (message,) = got
    assert message.get_json() == {"slot": "é"}
    assert message.dequeue_count == 1
    assert message.id
    assert message.pop_receipt
    assert message.insertion_time
    assert message.expiration_time
    assert message.time_next_visible
    assert before <= message.insertion_time < message.time_next_visible < message.expiration_time
    assert queues.left() == 0


@pytest.mark.parametrize(("kind", "expected"), [(None, "text"), (func.DataType.BINARY, b"text")])
@pytest.mark.parametrize("hint", [str, bytes])
def test_a_handler_may_ask_for_the_bare_body(queues: Queues, hint: type, kind: Any, expected: object) -> None:
    """It gets what the host sends, unconverted: a text, unless data_type says otherwise."""
    got: list[object] = []

    def handler(message) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - set below
        got.append(message)

    handler.__annotations__["message"] = hint
    with serving(queues.app(handler, data_type=kind), settings=queues.settings) as host:
        host.drain("work")
        queues.send("text")
        host.drain("work")
    assert got == [expected]


def test_messages_of_a_batch_are_worked_on_side_by_side(queues: Queues) -> None:
    """`batchSize` of them run at a time."""
    together = threading.Barrier(3, timeout=10)

    def handler(message: func.QueueMessage) -> None:
        together.wait()

    with queues.serving(handler, batch_size=3) as host:
        host.drain("work")
        queues.send("1", "2", "3", "4")
        assert host.drain("work") == 3
    assert queues.left() == 1


def test_a_failed_message_comes_back_until_it_is_moved_to_the_poison_queue(queues: Queues) -> None:
    """Its `maxDequeueCount`-th failure moves it, unchanged."""
    with queues.serving(failing, max_dequeue_count=2) as host:
        host.drain("work")
        queues.send("bad")
        assert host.drain("work") == 1
        assert (queues.left(), queues.poisoned()) == (1, [])
        assert host.drain("work") == 1
        assert host.drain("work") == 0
    assert queues.left() == 0
    assert queues.poisoned() == [base64.b64encode(b"bad").decode()]


def test_a_failed_message_stays_hidden_for_the_visibility_timeout(queues: Queues) -> None:
    """It stays in the queue, and nobody can receive it."""
    with queues.serving(failing, visibility_timeout=60.0) as host:
        host.drain("work")
        queues.send("bad")
        assert host.drain("work") == 1
        assert host.drain("work") == 0
    assert queues.left() == 1


def test_a_message_seen_too_often_is_moved_without_running(queues: Queues) -> None:
    """Another host may have died with it each time."""
    ran = []
    with queues.serving(lambda message: ran.append(message), max_dequeue_count=1) as host:  # noqa: PLW0108 - named so
        host.drain("work")
        queues.send("bad")
        (message,) = queues.main.receive_messages()
        queues.main.update_message(message, visibility_timeout=0)
        assert host.drain("work") == 1
    assert (ran, queues.left(), len(queues.poisoned())) == ([], 0, 1)


def test_a_message_that_cannot_be_decoded_is_moved_at_once(queues: Queues) -> None:
    """The message is plain text where base64 is expected."""
    ran = []
    with queues.serving(lambda message: ran.append(message)) as host:  # noqa: PLW0108 - named so
        host.drain("work")
        queues.send_raw("not base64!")
        host.drain("work")
    assert (ran, queues.left(), queues.poisoned()) == ([], 0, ["not base64!"])


def test_message_encoding_none_takes_plain_text(queues: Queues) -> None:
    """The option is host.json's messageEncoding."""
    got: list[bytes] = []

    def handler(message: func.QueueMessage) -> None:
        got.append(message.get_body())

    with queues.serving(handler, base64=False) as host:
        host.drain("work")
        queues.send_raw("plain <&> é")
        host.drain("work")
    assert got == ["plain <&> é".encode()]


def test_a_long_handler_keeps_its_message(queues: Queues) -> None:
    """The lease is renewed while the handler runs: the first receipt is void, the renewed one settles the message."""
    renewed = threading.Event()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 1:
            # The first renewal is done.
            renewed.set()
            await asyncio.sleep(60)

    def handler(message: func.QueueMessage) -> None:
        assert renewed.wait(10)
        assert message.id
        with pytest.raises(HttpResponseError, match="PopReceiptMismatch"):
            queues.main.update_message(message.id, message.pop_receipt, visibility_timeout=600)

    async def work() -> int:
        (function,) = index(queues.app(handler))
        invoker = Invoker({})
        listener = QueueListener(function, QueueOptions(), queues.settings, invoker=invoker, pause=pause)
        try:
            return await listener.step()
        finally:
            listener.close()
            invoker.close()

    queues.main.create_queue()
    queues.send("long")
    assert asyncio.run(work()) == 1
    assert pauses == [300, 300]
    assert queues.left() == 0


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_message_that_another_took_is_left_to_it(queues: Queues, succeeds: bool) -> None:
    """The host's receipt is void, and settling with it does nothing."""

    def handler(message: func.QueueMessage) -> None:
        assert message.id
        queues.main.update_message(message.id, message.pop_receipt, visibility_timeout=60)
        if not succeeds:
            raise ValueError

    with queues.serving(handler) as host:
        host.drain("work")
        queues.send("x")
        assert host.drain("work") == 1
    assert (queues.left(), queues.poisoned()) == (1, [])


def test_messages_are_taken_by_themselves(queues: Queues) -> None:
    """Several batches are handled."""
    got = threading.Semaphore(0)

    def handler(message: func.QueueMessage) -> None:
        got.release()

    queues.main.create_queue()
    queues.send("1", "2", "3")
    with queues.serving(handler, triggers=True, batch_size=1, new_batch_threshold=0):
        for _ in range(3):
            assert got.acquire(timeout=10)
    assert queues.left() == 0


def test_a_message_can_be_fired_by_hand(queues: Queues) -> None:
    """No queue is needed: the given text is the message."""
    got: list[bytes] = []

    def handler(message: func.QueueMessage) -> None:
        got.append(message.get_body())

    with queues.serving(handler) as host:
        assert host.fire("work", "now").succeeded
    assert got == [b"now"]


def test_an_absent_connection_is_refused(queues: Queues) -> None:
    """The message has the setting's name."""
    functions = index(queues.app(failing, connection="Elsewhere"))
    with pytest.raises(IndexingError, match="the setting Elsewhere is absent"):
        LocalHost(functions, settings=queues.settings)


def test_a_malformed_connection_is_refused(queues: Queues) -> None:
    """It is refused before anything runs."""
    with pytest.raises(IndexingError, match="storage connection can't be used"):
        LocalHost(index(queues.app(failing)), settings={"AzureWebJobsStorage": "nonsense"})


def test_development_storage_means_azurites_standard_port(queues: Queues) -> None:
    """The SDK doesn't know this shorthand."""
    settings = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    host = LocalHost(index(queues.app(failing)), settings=settings)
    assert host.listeners["work"].address == f"http://127.0.0.1:10001/devstoreaccount1/{queues.name}"


def test_storage_that_is_down_is_told_and_does_not_stop_the_host(told: "Told") -> None:
    """The web server still answers, and the host ends without delay."""
    dead = "AccountName=a;AccountKey=eA==;QueueEndpoint=http://127.0.0.1:9/a"
    with Nowhere(dead).serving(failing, triggers=True, max_polling_interval=0.1) as host:
        assert told.warning.wait(20)
        assert requests.get(host.url, timeout=10).status_code == 200
    assert told.text == "queue 'nowhere' can't be read: ServiceRequestError"


class Told(logging.Handler):
    """Waits for the host's first warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warning = threading.Event()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.text = record.getMessage()
        self.warning.set()


@pytest.fixture
def told() -> Iterator[Told]:
    """The first warning in the host's log."""
    handler = Told()
    logging.getLogger("localdev.host").addHandler(handler)
    yield handler
    logging.getLogger("localdev.host").removeHandler(handler)


class Nowhere(Queues):
    """A queue in a storage account that doesn't answer."""

    def __init__(self, connection: str) -> None:
        super().__init__(connection, "nowhere")
        self.close()
