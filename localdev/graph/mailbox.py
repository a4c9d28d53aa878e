"""One person's mailbox: made-up messages of the last two weeks, and what arrived and was sent since."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

INBOX, SENT = "inbox", "sentitems"
FOLDERS = (INBOX, SENT)
_DAYS = 14
_READ_AFTER = timedelta(days=3)
_SENDERS = ("Priya Raman", "Jonas Weber", "Lucia Alvarez", "Tom Reilly", "Build service")
_SUBJECTS = (
    "Minutes",
    "Offer",
    "Question about the contract",
    "Travel",
    "Numbers for March",
    "Nightly build",
    "Lunch?",
)


class Mailbox:
    """Messages in Graph's shape, newest first. `now`: seconds since 1970."""

    def __init__(self, username: str, name: str, now: Callable[[], float]) -> None:
        self._me = address(username, name)
        self._now = now
        self.sent: list[dict[str, Any]] = []
        self._messages = {each["id"]: each for each in self._made_up()}

    def messages(self, folder: str = "") -> list[dict[str, Any]]:
        """Messages of a folder, or all."""
        found = [each for each in self._messages.values() if folder in ("", each["parentFolderId"])]
        return sorted(found, key=lambda each: (str(each["receivedDateTime"]), str(each["id"])), reverse=True)

    def find(self, identity: str) -> dict[str, Any] | None:
        """The message with this ID."""
        return self._messages.get(identity)

    def receive(self, message: dict[str, Any]) -> dict[str, Any]:
        """Puts a message into the inbox, unread."""
        return self._keep(message | {"isRead": False}, INBOX, f"AAMkA{uuid.uuid4().hex}=")

    def send(self, message: dict[str, Any], *, save: bool = True) -> dict[str, Any]:
        """Notes that a message was sent, and saves it in Sent Items. Returns it as its recipients get it."""
        stamp = _stamp(datetime.fromtimestamp(self._now(), UTC))
        whole = message | {"from": self._me, "sender": self._me, "sentDateTime": stamp}
        self.sent.append(whole | {"savedToSentItems": save})
        if save:
            self._keep(whole | {"isRead": True}, SENT, f"AAMkA{uuid.uuid4().hex}=")
        return whole

    def _keep(self, message: dict[str, Any], folder: str, identity: str) -> dict[str, Any]:
        now = _stamp(datetime.fromtimestamp(self._now(), UTC))
        kept = _complete(message | {"parentFolderId": folder, "id": identity}, now, [self._me])
        self._messages[identity] = kept
        return kept

    def _made_up(self) -> Iterator[dict[str, Any]]:
        now = datetime.fromtimestamp(self._now(), UTC)
        username = self._me["emailAddress"]["address"]
        for back in range(_DAYS):
            day = (now - timedelta(days=back)).date()
            digest = hashlib.sha256(f"mail {username} {day}".encode()).digest()
            for index in range(1 + digest[0] % 3):
                at = datetime.combine(day, time(6 + 4 * index, digest[index + 1] % 60), UTC)
                if at > now:
                    continue
                sender = _SENDERS[digest[index + 4] % len(_SENDERS)]
                yield _complete(
                    {
                        "id": f"AAMkA{hashlib.sha256(f'{username} {at}'.encode()).hexdigest()[:32]}=",
                        "subject": _SUBJECTS[digest[index + 7] % len(_SUBJECTS)],
                        "from": address(f"{sender.split()[0].lower()}@adatum.example", sender),
                        "body": {"contentType": "html", "content": f"<p>Dear colleague, this is from {sender}.</p>"},
                        "bodyPreview": f"Dear colleague, this is from {sender}.",
                        "isRead": now - at > _READ_AFTER,
                        "parentFolderId": INBOX,
                    },
                    _stamp(at),
                    [self._me],
                )


def address(mail: str, name: str = "") -> dict[str, Any]:
    """A recipient in Graph's shape."""
    return {"emailAddress": {"name": name or mail, "address": mail}}


def _complete(message: dict[str, Any], stamp: str, recipients: list[dict[str, Any]]) -> dict[str, Any]:
    """The message with everything that each message has."""
    content = str((message.get("body") or {}).get("content", ""))
    defaults: dict[str, Any] = {
        "createdDateTime": stamp,
        "lastModifiedDateTime": stamp,
        "receivedDateTime": stamp,
        "sentDateTime": stamp,
        "hasAttachments": False,
        "internetMessageId": f"<{uuid.uuid5(uuid.NAMESPACE_URL, str(message['id']))}@sample.example>",
        "subject": "",
        "bodyPreview": content[:255],
        "importance": "normal",
        "isRead": False,
        "isDraft": False,
        "body": {"contentType": "text", "content": ""},
        "sender": message.get("from"),
        "from": None,
        "toRecipients": recipients,
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
    }
    return defaults | message


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
