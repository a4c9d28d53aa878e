"""The one error tree.

UnderstudyError                 never raised itself
├── SettingsError               settings missing or malformed: all of them, in one error
├── SealError                   a sealed value does not open: unknown key, changed, or sealed for another owner
├── StoreError                  never raised itself
│   ├── StoreUnavailable        the storage can't be reached, refuses us, or is busy
│   ├── Conflict                the row changed, appeared or vanished since it was read
│   ├── RowRefused              the storage will never take this row as it is; what is stored stays
│   │   └── RowTooLarge         because an account doesn't fit into a row
│   └── RowUnreadable           a stored row can't be read as an account
├── TokenError                  never raised itself: why no access token could be had
│   ├── SignInRequired          the person must sign in again, some of them after their administrator has helped
│   ├── Misconfigured           only whoever runs this app can help
│   ├── Unreadable              the person's token cache can't be opened or parsed
│   └── TryLater                the tenant throttles or fails; nothing is wrong with the person
├── GraphError                  Microsoft Graph answered with an error, or not at all
│   └── DeltaExpired            a delta link is too old: the next query begins anew
├── MayHaveHappened             an effect that must not happen twice was about to happen when a process ended
└── RequestRefused              never raised itself: what is wrong with one HTTP request
    ├── BadRequest              400
    ├── NotSignedIn             401
    ├── Forbidden               403
    ├── BearerRefused           401, 403: the bearer token is not valid, or not enough
    ├── SignInFailed            the tenant, or this app, refused a sign-in
    └── TooLarge                413

Outside this tree are Throttled and Unavailable (clients/http.py): every client translates them. They also travel
through MSAL, as TokenRequestHeld does (identity/msal_http_client.py), which never leaves shared/identity. TokenRefused
(identity/verification.py) becomes a SignInFailed or a BearerRefused.

`except Exception` stands in these files: around one person's token and one account's row (timer_worker/slot_run.py),
one slot (timer_worker/sweep.py), one task (timer_worker/turn.py), one row of a batch (store/tables/batches.py), one
token that is not saved yet (identity/unsaved_tokens.py), a count in a thread (monitoring/census.py), the network's
thread (clients/transfers.py), and one log message (log_redaction.py).
"""

from collections.abc import Sequence
from typing import Any


class UnderstudyError(Exception):
    """Base of the app's errors. Never raised directly."""


class SettingsError(UnderstudyError):
    """Settings are missing or malformed.

    Attributes:
        problems: one line per problem: the setting's name, what is wrong, how to set it. Holds no value.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("Settings need attention:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = tuple(problems)


class SealError(UnderstudyError):
    """A sealed value does not open.

    Attributes:
        reason: `unknown_key`, `malformed` or `forged` (changed, or sealed for another purpose or owner).
        key_id: the id of the key that the value names; "" when it can't be read.
    """

    def __init__(self, reason: str, key_id: str = "") -> None:
        super().__init__(f"sealed value does not open: {reason}" + (f" (key {key_id!r})" if key_id else ""))
        self.reason = reason
        self.key_id = key_id


class StoreError(UnderstudyError):
    """Base of the account store's errors. Never raised directly."""


class StoreUnavailable(StoreError):
    """The storage can't be reached, refuses us, or is busy. Never read as "there is no such account".

    Attributes:
        status: HTTP status, or None when there was no answer.
    """

    def __init__(self, operation: str, status: int | None, detail: str = "") -> None:
        super().__init__(f"storage failed at {operation}" + (f": {status}" if status else "") + f" {detail}".rstrip())
        self.operation = operation
        self.status = status


class Conflict(StoreError):
    """A row changed, appeared or vanished since it was read (HTTP 412, 404, or 409 EntityAlreadyExists). Nothing was
    written."""

    def __init__(self, key: str) -> None:
        super().__init__("the row changed since it was read")
        self.key = key


class RowRefused(StoreError):
    """The storage will never take this row as it is. What is stored stays.

    Attributes:
        reason: what is wrong with the row; never a value of it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the row is refused: {reason}; the stored row is untouched")
        self.reason = reason


class RowTooLarge(RowRefused):
    """An account does not fit into one row of the storage. The stored row is untouched.

    Attributes:
        part: what is too large (`token cache`, `extra`, `TaskState`).
        size, limit: bytes; None when the storage didn't say.
    """

    def __init__(self, part: str, size: int | None = None, limit: int | None = None) -> None:
        found = "is too large for the storage" if size is None else f"has {size} bytes, the limit is {limit}"
        super().__init__(f"{part} {found}")
        self.part = part
        self.size = size
        self.limit = limit


class RowUnreadable(StoreError):
    """A stored row can't be read as the account that was asked for: somebody wrote it by hand, or another version did.
    A sign-in replaces it, a sign-out removes it, and no sweep acts for it.

    Attributes:
        slot, key: of the row.
        reason: which property is odd; never a value of the row.
        etag: the row's. A write or deletion that names it takes the row's place.
    """

    def __init__(self, slot: str, key: str, reason: str, etag: str) -> None:
        super().__init__(f"the row {slot}/{key} can't be read: {reason}")
        self.slot = slot
        self.key = key
        self.reason = reason
        self.etag = etag


class TokenError(UnderstudyError):
    """Base of the reasons why there is no access token for a person. Never raised directly.

    Attributes:
        code: an AADSTS number as text, an OAuth error, or a word of ours; safe to log and show.
        correlation_id: the reference for the tenant's support.
        claims: a claims challenge that the next sign-in must satisfy, as JSON text; "" when there is none.
        diagnosis: more for the operator's log, which the person must not see.
    """

    def __init__(self, code: str, *, correlation_id: str = "", claims: str = "", diagnosis: str = "") -> None:
        super().__init__(f"{code} ({diagnosis})" if diagnosis else code)
        self.code = code
        self.diagnosis = diagnosis
        self.correlation_id = correlation_id
        self.claims = claims


class SignInRequired(TokenError):
    """The person must sign in again; error_codes.py says whether an administrator must help first."""


class Misconfigured(TokenError):
    """This app's registration or settings are wrong. Only whoever runs the app can help."""


class Unreadable(TokenError):
    """The stored token cache can't be opened or parsed. A missing key can be put back; a new sign-in always helps."""


class TryLater(TokenError):
    """The tenant throttles or fails, or another request is renewing the token. Nothing is wrong with the person.

    Attributes:
        retry_after: seconds to wait; None when the tenant named none.
    """

    def __init__(self, code: str, *, retry_after: float | None = None, diagnosis: str = "") -> None:
        super().__init__(code, diagnosis=diagnosis)
        self.retry_after = retry_after


class GraphError(UnderstudyError):
    """Microsoft Graph answered with an error, or not at all.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        code: Graph's `error.code`; a word of ours when there was no answer.
        claims: the claims challenge of a 401 (continuous access evaluation), as JSON text; "" when there is none.
        retry_after: seconds to wait; None when Graph named none.
        request_id: the reference for Microsoft's support.
        did_nothing: is it certain that the call changed nothing? Graph refused it, or there was no connection.
    """

    def __init__(
        self,
        status: int,
        code: str,
        *,
        claims: str = "",
        retry_after: float | None = None,
        request_id: str = "",
        did_nothing: bool = False,
    ) -> None:
        super().__init__(f"Microsoft Graph: {status} {code}")
        self.did_nothing = did_nothing
        self.status = status
        self.code = code
        self.claims = claims
        self.retry_after = retry_after
        self.request_id = request_id


class DeltaExpired(GraphError):
    """A delta link is too old (410, "Use delta query to track changes": synchronization reset). It was dropped."""


class MayHaveHappened(UnderstudyError):
    """An earlier try of the same occurrence was about to send a call with `once=`, and left no outcome: its process
    ended, or Graph's answer was lost. Nobody knows whether it happened, so it is not sent again.

    Attributes:
        task, name: whose effect.
    """

    def __init__(self, task: str, name: str) -> None:
        super().__init__(f"{name!r} of task {task} may have happened already; it is not sent again")
        self.task = task
        self.name = name


class RequestRefused(UnderstudyError):
    """Base of the reasons to refuse an HTTP request. Never raised directly.

    Attributes:
        status: the HTTP status of the answer.
        code: a short word for programs.
        title: what happened, for the person.
        detail: what to do, for the person.
        reference: a correlation id to quote; "" when there is none.
    """

    status = 400
    code = "bad_request"
    title = "This request can't be used"

    def __init__(self, detail: str, *, code: str = "", title: str = "", status: int = 0, reference: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.title = title or self.title
        self.status = status or self.status
        self.reference = reference


class BadRequest(RequestRefused):
    """The request is malformed."""


class NotSignedIn(RequestRefused):
    """There is no valid browser session."""

    status = 401
    code = "not_signed_in"
    title = "You are not signed in"


class Forbidden(RequestRefused):
    """The person may not do this, or the request came from another site."""

    status = 403
    code = "forbidden"
    title = "This isn't allowed"


class BearerRefused(RequestRefused):
    """A bearer token is missing or not valid, or does not allow this request.

    Attributes:
        challenge: the WWW-Authenticate header, which says what token is needed (RFC 6750, 3).
    """

    status = 401
    code = "invalid_token"
    title = "This token isn't accepted"

    def __init__(self, detail: str, *, challenge: str, **words: Any) -> None:
        super().__init__(detail, **words)
        self.challenge = challenge


class TooLarge(RequestRefused):
    """The request is larger than any that this app expects."""

    status = 413
    code = "too_large"
    title = "This request is too large"


class SignInFailed(RequestRefused):
    """A sign-in ended without a signed-in person; nothing was stored.

    Attributes:
        diagnosis: more for the operator's log, which the person must not see.
    """

    code = "sign_in_failed"
    title = "You could not be signed in"

    def __init__(self, detail: str, *, diagnosis: str = "", **words: Any) -> None:
        super().__init__(detail, **words)
        self.diagnosis = diagnosis
