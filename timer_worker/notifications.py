"""Sends a message to the queue `sign-in-required` for each person who must sign in again. See docs/notifications.md.

The message is sent first and noted on the account (`NotifiedAt`) afterwards. Until it is noted, the account stays due:
after a crash in between, the next sweep sends the message again, with the same id.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.accounts import Account, Failure, State
from shared.error_codes import explain
from shared.errors import StoreUnavailable
from shared.identity.sign_in_link import sealed_challenge, sign_in_path
from shared.services import Services
from shared.settings import Settings

SIGN_IN_REQUIRED = "sign-in-required"
_LONGEST_USERNAME = 320  # RFC 3696, 3: an address; a queue takes 64 KiB per message

logger = logging.getLogger(__name__)


def is_owed(account: Account) -> bool:
    """Must this person sign in again, and was no message sent yet?"""
    return _unannounced(account) is not None


def send(accounts: Iterable[Account], app: Services) -> list[Account]:
    """Sends one message per account that is owed one. Returns these accounts with the time noted, to be saved.

    Stops when the queue fails; the other messages stay owed.
    """
    sent = []
    for account in accounts:
        failure = _unannounced(account)
        if failure is None:
            continue
        text = json.dumps(_message(account, failure, app.settings, app.now()))
        try:
            app.queues.send(SIGN_IN_REQUIRED, text)
        except StoreUnavailable as error:
            logger.error("a notification could not be sent; the next sweep tries again: %s", error)
            break
        sent.append(replace(account, failure=replace(failure, notified_at=app.now())))
    return sent


def message_id(account_id: str, failure: Failure) -> str:
    """The id of a message, by the account and the failure's first time: the same for all messages about one failure."""
    return hashlib.sha256(f"{account_id} {failure.first_at.isoformat()}".encode()).hexdigest()[:32]


def _unannounced(account: Account) -> Failure | None:
    if account.state is State.NEEDS_SIGN_IN and account.failure and account.failure.notified_at is None:
        return account.failure
    return None


def _message(account: Account, failure: Failure, settings: Settings, now: datetime) -> dict[str, Any]:
    meaning = explain(failure.code)
    username = account.username[:_LONGEST_USERNAME]
    challenge = sealed_challenge(failure.claims, settings.key_ring, owner=username, now=now)
    return {
        "id": message_id(account.account_id, failure),
        "account_id": account.account_id,
        "username": username,
        "code": failure.code,
        "reason": meaning.happened,
        "remedy": meaning.remedy,
        "since": failure.first_at.isoformat(),
        "link": settings.base_url + sign_in_path(username=username, code=failure.code, challenge=challenge),
    }
