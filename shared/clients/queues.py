"""Sends messages to Storage queues: the only calls of the Queues SDK. Text is base64, as the Functions host expects."""

import math

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from shared.errors import StoreUnavailable


class Queues:
    """The queues of one storage account. A queue is created when it is first needed."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service

    def send(self, queue: str, text: str, *, after: float = 0.0) -> None:
        """Sends one message, which becomes visible after `after` seconds. Raises StoreUnavailable."""
        client = self._service.get_queue_client(queue, message_encode_policy=TextBase64EncodePolicy())
        try:
            try:
                client.send_message(text, visibility_timeout=math.ceil(after))
            except ResourceNotFoundError:
                client.create_queue()
                client.send_message(text, visibility_timeout=math.ceil(after))
        except HttpResponseError as error:
            raise StoreUnavailable(
                f"send to {queue}", error.status_code, str(getattr(error, "error_code", "") or "")
            ) from error
        except AzureError as error:
            raise StoreUnavailable(f"send to {queue}", None, type(error).__name__) from error

    def close(self) -> None:
        """Closes the connections."""
        self._service.close()
