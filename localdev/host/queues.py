"""Queue triggers, with the visibility, retries and poison queue of the Functions storage extension.

A message is leased for ten minutes. The lease is renewed every five minutes while the handler runs. When the handler
fails, the message becomes visible again after `visibilityTimeout`; the `maxDequeueCount`-th failure moves it to
`<queue>-poison`.
"""

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.queue import QueueClient, QueueMessage

from localdev.host.bindings import Datum, decode
from localdev.host.config import QueueOptions, resolve
from localdev.host.indexing import IndexedFunction
from localdev.host.invocation import Invoker, Outcome
from localdev.host.storage import client, connection_string
from localdev.host.waiting import GRACE_SECONDS, see_through

logger = logging.getLogger("localdev.host")

LEASE_SECONDS = 600
_FIRST_PAUSE = 0.1
_POISON = "-poison"
_NOT_FOUND = 404
_BY_MESSAGE = "New queue message detected on '%s'."
Pause = Callable[[float], Awaitable[None]]


class QueueListener:
    """Receives one function's messages.

    Args:
        function: Its binding names the queue and the connection.
        options: From host.json.
        settings: For the connection and %SETTING%.
        invoker: Runs the handler.
        pause: Waits between renewals, in seconds; a test may replace it.

    Raises:
        IndexingError: The connection setting is absent or not a connection string.
    """

    def __init__(
        self,
        function: IndexedFunction,
        options: QueueOptions,
        settings: Mapping[str, str],
        *,
        invoker: Invoker,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self.function = function
        self.queue_name = resolve(str(function.trigger.properties["queueName"]), settings, function=function.name)
        self._options = options
        self._invoker = invoker
        self._pause = pause
        connection = connection_string(function, settings)
        self._queue = client(function, connection, self.queue_name)
        has_poison = not self.queue_name.endswith(_POISON)
        self._poison = client(function, connection, self.queue_name + _POISON) if has_poison else None
        self._known = False

    @property
    def address(self) -> str:
        """The queue's URL."""
        return str(self._queue.url)

    def close(self) -> None:
        """Close the connections."""
        self._queue.close()
        if self._poison:
            self._poison.close()

    async def step(self) -> int:
        """Receive one batch, handle its messages side by side, and return how many there were.

        Raises:
            AzureError: The storage can't be reached.
        """
        messages = await asyncio.to_thread(self._receive)
        await asyncio.gather(*(self._handle(message) for message in messages))
        return len(messages)

    async def run(self) -> None:
        """Poll until cancelled: at once after a message, then after pauses that double up to `maxPollingInterval`."""
        working: set[asyncio.Task[None]] = set()
        pause = _FIRST_PAUSE
        try:
            while True:
                messages = await self._receive_or_warn()
                for message in messages:
                    working.add(asyncio.create_task(self._handle_or_warn(message)))
                pause = _FIRST_PAUSE if messages else min(pause * 2, self._options.max_polling_interval)
                await asyncio.sleep(0 if messages else pause)
                await self._make_room(working)
        finally:
            if working:
                await asyncio.wait(working, timeout=GRACE_SECONDS)

    async def _make_room(self, working: set[asyncio.Task[None]]) -> None:
        """Remove the handlers that are done. Wait while more than `newBatchThreshold` are running."""
        working.difference_update({task for task in working if task.done()})
        while len(working) > self._options.new_batch_threshold:
            done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            working.difference_update(done)

    async def _handle_or_warn(self, message: QueueMessage) -> None:
        try:
            await self._handle(message)
        except AzureError as error:
            logger.warning("message %s can't be settled: %s", message.id, type(error).__name__)

    async def _receive_or_warn(self) -> list[QueueMessage]:
        try:
            messages = await asyncio.to_thread(self._receive)
        except AzureError as error:
            logger.warning("queue '%s' can't be read: %s", self.queue_name, type(error).__name__)
            await asyncio.sleep(self._options.max_polling_interval)
            return []
        return messages

    def _receive(self) -> list[QueueMessage]:
        if not self._known:
            _create(self._queue)
            self._known = True
        size = self._options.batch_size
        pages = self._queue.receive_messages(messages_per_page=size, visibility_timeout=LEASE_SECONDS).by_page()
        return list(next(pages, []))

    async def _handle(self, message: QueueMessage) -> None:
        if (message.dequeue_count or 0) > self._options.max_dequeue_count:
            await asyncio.to_thread(self._to_poison, message)
            return
        try:
            body = _decoded(message.content, base64_encoded=self._options.base64)
        except ValueError:
            logger.warning("message %s on '%s' can't be decoded", message.id, self.queue_name)
            await asyncio.to_thread(self._to_poison, message)
            return
        renewing = asyncio.create_task(self._renew(message))
        try:
            outcome = await self.invoke(body, metadata(message, body))
        finally:
            renewing.cancel()
        # A renewal on its way changes the pop receipt: it must be over before the message is settled.
        await asyncio.gather(renewing, return_exceptions=True)
        await asyncio.to_thread(self._settle, message, outcome)

    async def invoke(self, body: bytes, trigger_metadata: dict[str, Datum]) -> Outcome:
        """Call the handler with a message's body."""
        parameter = self.function.parameters[self.function.trigger.name]
        is_binary = self.function.trigger.properties.get("dataType") == "BINARY"
        datum = Datum(body, "bytes") if is_binary else Datum(body.decode(errors="replace"), "string")
        return await self._invoker.run(
            self.function,
            lambda: {parameter.binding.name: decode(parameter, datum, metadata=trigger_metadata)},
            reason=_BY_MESSAGE % self.queue_name,
        )

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await self._pause(LEASE_SECONDS / 2)
            await see_through(asyncio.to_thread(self._extend, message, LEASE_SECONDS))

    def _settle(self, message: QueueMessage, outcome: Outcome) -> None:
        if outcome.succeeded:
            _delete(self._queue, message)
        elif (message.dequeue_count or 0) >= self._options.max_dequeue_count:
            self._to_poison(message)
        else:
            self._extend(message, int(self._options.visibility_timeout))

    def _extend(self, message: QueueMessage, seconds: int) -> None:
        """Hide the message for `seconds` from now. Does nothing when somebody else has it."""
        try:
            updated = self._queue.update_message(message, visibility_timeout=seconds)
        except HttpResponseError as error:
            if _is_lost(error):
                return
            raise
        message.pop_receipt = updated.pop_receipt

    def _to_poison(self, message: QueueMessage) -> None:
        if self._poison is None:
            return
        _create(self._poison)
        self._poison.send_message(message.content)
        _delete(self._queue, message)
        logger.warning("message %s was moved to '%s%s'", message.id, self.queue_name, _POISON)


def metadata(message: QueueMessage, body: bytes) -> dict[str, Datum]:
    """The trigger metadata that the host sends with a message."""
    return {
        "QueueTrigger": Datum(body.decode(errors="replace"), "string"),
        "Id": Datum(message.id, "string"),
        "PopReceipt": Datum(message.pop_receipt, "string"),
        "DequeueCount": _json(message.dequeue_count),
        "InsertionTime": _json(message.inserted_on),
        "ExpirationTime": _json(message.expires_on),
        "NextVisibleTime": _json(message.next_visible_on),
    }


def _json(value: Any) -> Datum:
    return Datum(json.dumps(value, default=lambda moment: moment.isoformat()), "json")


def _decoded(content: str, *, base64_encoded: bool) -> bytes:
    try:
        return base64.b64decode(content, validate=True) if base64_encoded else content.encode()
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _create(queue: QueueClient) -> None:
    try:
        queue.create_queue()
    except ResourceExistsError:
        return


def _delete(queue: QueueClient, message: QueueMessage) -> None:
    try:
        queue.delete_message(message)
    except HttpResponseError as error:
        if not _is_lost(error):
            raise


def _is_lost(error: HttpResponseError) -> bool:
    """Whether the message is gone, or another host took it after its lease had run out and will settle it."""
    return error.status_code == _NOT_FOUND or getattr(error, "error_code", None) == "PopReceiptMismatch"
