"""The one error tree.

UnderstudyError                 never raised itself
├── SettingsError               settings missing or malformed: all of them, in one error
├── SealError                   a sealed value does not open: unknown key, changed, or somebody else's
├── StoreError                  never raised itself
│   ├── StoreUnavailable        the storage can't be reached, refuses us, or is busy
│   ├── Conflict                the row changed, appeared or vanished since it was read
│   └── RowRefused              the storage will never take this row as it is; what is stored stays
│       └── RowTooLarge         because an account doesn't fit into a row
├── TokenError                  never raised itself: why no access token could be had
│   ├── SignInRequired          only the person can help: they must sign in again
│   ├── Misconfigured           only an administrator of this app can help
│   ├── Unreadable              the person's token cache can't be opened or parsed
│   └── TryLater                the tenant throttles or fails; nothing is wrong with the person
├── GraphError                  Microsoft Graph answered with an error
└── RequestRefused              never raised itself: what is wrong with one HTTP request
    ├── BadRequest              400
    ├── NotSignedIn             401
    ├── Forbidden               403
    ├── BearerRefused           401, 403: a bearer token, or what it allows
    ├── SignInFailed            the tenant's or our own refusal at the end of a sign-in
    └── TooLarge                413

Throttled, Unavailable and LeaseNeeded (transport.py) travel *through* MSAL and never leave identity.py.
"""

from collections.abc import Sequence
from typing import Any


class UnderstudyError(Exception):
    """Base of everything this app raises on purpose. Never raised directly."""


class SettingsError(UnderstudyError):
    """Settings are missing or malformed.

    Attributes:
        problems: one line each: the setting's name, what is wrong, how to set it. Never a value.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("Settings need attention:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = tuple(problems)


class SealError(UnderstudyError):
    """A sealed value does not open.

    Attributes:
        reason: `unknown_key`, `malformed` or `forged` (changed, for another purpose, or of somebody else).
        key_id: the key that it names, as far as it can be read.
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


class TokenError(UnderstudyError):
    """Why no access token could be had for a person. Never raised directly.

    Attributes:
        code: an AADSTS number as text, an OAuth error, or a word of ours; safe to log and show.
        correlation_id: what to quote to the tenant's support.
    """

    def __init__(self, code: str, *, correlation_id: str = "", claims: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.correlation_id = correlation_id
        self.claims = claims


class SignInRequired(TokenError):
    """The person must sign in again; nobody else can help."""


class Misconfigured(TokenError):
    """This app's registration or settings are wrong; no person is to blame."""


class Unreadable(TokenError):
    """The stored token cache can't be opened or parsed; it recovers when the key is back."""


class TryLater(TokenError):
    """The tenant throttles or fails.

    Attributes:
        retry_after: seconds, when the tenant said so.
    """

    def __init__(self, code: str, *, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.retry_after = retry_after


class GraphError(UnderstudyError):
    """Microsoft Graph answered with an error, or not at all.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        code: Graph's `error.code`.
        claims: the claims challenge of a 401 (continuous access evaluation), decoded JSON text, or "".
        retry_after: seconds, when Graph said so.
        request_id: what to quote to Microsoft's support.
    """

    def __init__(
        self, status: int, code: str, *, claims: str = "", retry_after: float | None = None, request_id: str = ""
    ) -> None:
        super().__init__(f"Microsoft Graph: {status} {code}")
        self.status = status
        self.code = code
        self.claims = claims
        self.retry_after = retry_after
        self.request_id = request_id


class RequestRefused(UnderstudyError):
    """Base of what can be wrong with one HTTP request. Never raised directly.

    Attributes:
        status: the HTTP status to answer with.
        code: a short word for machines.
        title, detail: for the person: what happened; what to do.
        reference: a correlation id to quote, or "".
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
    """A bearer token is missing, not to be trusted, or not enough.

    Attributes:
        challenge: the WWW-Authenticate header, which tells the client what would do (RFC 6750, 3).
    """

    status = 401
    code = "invalid_token"
    title = "This token isn't accepted"

    def __init__(self, detail: str, *, challenge: str, **words: Any) -> None:
        super().__init__(detail, **words)
        self.challenge = challenge


class TooLarge(RequestRefused):
    """The request is larger than anything this app has use for."""

    status = 413
    code = "too_large"
    title = "This request is too large"


class SignInFailed(RequestRefused):
    """A sign-in ended without a signed-in person; nothing was stored."""

    code = "sign_in_failed"
    title = "You could not be signed in"
