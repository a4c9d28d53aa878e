"""Faults of the token endpoint, of the app's registration, and of a stored token cache."""

from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import certifi

from shared.accounts import State
from shared.sealing import KeyRing
from tests.reliability.matrix import Due, Level, Row, Seen, Swept
from tests.reliability.scene import Scene


def _passing(code: str) -> Swept:
    return Swept(outcome="unavailable", code=code, line=rf"unavailable=1 .*unavailable {code} \(1\)")


def _throttled() -> Swept:
    line = r"throttled=1 .*throttled throttled \(1\)"
    return Swept(outcome="throttled", code="throttled", due=Due.RETRY_AFTER, line=line)


def _later(code: str) -> Seen:
    return Seen(status=503, code="identity_provider", words="can't be reached", line=rf"503 identity_provider: {code}")


def _token(fault: str, code: str, kind: str, **facts: Any) -> Row:
    return Row(
        group="Token endpoint fails",
        fault=fault,
        happen=lambda scene: scene.fault(kind, **facts),
        swept=_throttled() if code == "throttled" else _passing(code),
        seen=_later(code),
    )


def _discovery(scene: Scene, kind: str, **facts: Any) -> None:
    scene.restart()  # what was discovered before is forgotten
    scene.fault(kind, "discovery", **facts)


def _in_two_minutes(scene: Scene) -> None:
    date = format_datetime(scene.app.clock() + timedelta(seconds=121), usegmt=True)
    scene.fault("throttle", retry_after=date)


TOKEN_FAILS = (
    _token("429 with Retry-After in seconds", "throttled", "throttle", retry_after=120),
    Row(
        group="Token endpoint fails",
        fault="429 with Retry-After as a date",
        happen=_in_two_minutes,
        swept=_throttled(),
        seen=_later("throttled"),
    ),
    _token("429 without Retry-After (taken as 60 s)", "throttled", "throttle"),
    _token("500", "http_500", "status", status=500),
    _token("503", "http_503", "status", status=503),
    _token("no answer before the time-out", "timeout", "hang"),
    _token("silence in the middle of the answer", "timeout", "hang_midway"),
    _token("connection reset before the answer", "connection", "reset"),
    _token("connection reset in the middle of the answer", "connection", "reset_midway"),
    _token("an HTML page instead of JSON", "unparsable", "html"),
    _token("truncated JSON", "unparsable", "truncated"),
    _token("200 with an empty body", "unparsable", "empty"),
    Row(
        group="Token endpoint fails",
        fault="an error that nobody has heard of",
        happen=lambda scene: scene.refuse("surprise"),
        swept=_passing("surprise"),
        seen=_later("surprise"),
        mend=Scene.start_anew,
    ),
    Row(
        group="Token endpoint fails",
        fault="its certificate is not trusted",
        happen=lambda scene: scene.restart(REQUESTS_CA_BUNDLE=certifi.where()),
        swept=_passing("tls"),
        seen=_later("tls"),
        mend=Scene.start_anew,
    ),
    Row(
        group="Token endpoint fails",
        fault="its name can't be resolved",
        happen=lambda scene: scene.restart(AUTHORITY=f"https://nowhere.invalid/{scene.tenant.tenant_id}"),
        swept=_passing("connection"),
        seen=_later("connection"),
        mend=Scene.start_anew,
    ),
    Row(
        group="Token endpoint fails",
        fault="discovery answers 500 after a restart",
        happen=lambda scene: _discovery(scene, "status", status=500),
        swept=_passing("http_500"),
        seen=_later("http_500"),
    ),
    Row(
        group="Token endpoint fails",
        fault="discovery answers 429 after a restart",
        happen=lambda scene: _discovery(scene, "throttle", retry_after=120),
        swept=_throttled(),
        seen=_later("throttled"),
    ),
)


def _aside(fault: str, code: str, happen: Callable[[Scene], None], words: str = "Sign in again", api: int = 0) -> Row:
    return Row(
        api=api,
        group="The person must sign in again",
        fault=fault,
        happen=happen,
        swept=Swept(
            outcome="sign_in_required",
            state=State.NEEDS_SIGN_IN,
            code=code,
            due=Due.RETENTION,
            line=rf"sign_in_required=1 .*sign_in_required {code} \(1\)",
            then="",
        ),
        seen=Seen(
            status=401,
            code="sign_in_required",
            words=words,
            state=State.NEEDS_SIGN_IN,
            level=Level.INFO,
            line=r"401 sign_in_required",
        ),
    )


def _state(fault: str, code: str, state: str, words: str = "Sign in again", api: int = 0) -> Row:
    return _aside(fault, code, lambda scene: scene.happens_to_ben(state), words, api)


SIGN_IN_REQUIRED = (
    _state("AADSTS50076: second factor needed", "50076", "require_mfa"),
    _state("AADSTS50079: second factor to be set up", "50079", "mfa_enrolment"),
    _state("AADSTS50173: revoked", "50173", "revoked"),
    _state("AADSTS70043: sign-in frequency", "70043", "expired"),
    _state("AADSTS65001: consent withdrawn", "65001", "consent_withdrawn", api=403),
    _state("AADSTS50057: account disabled", "50057", "disabled", "Ask your administrator"),
    _state("AADSTS700082: not used for too long", "700082", "inactive"),
    _state("AADSTS53003: conditional access", "53003", "conditional_access", "ask your administrator"),
    _aside("interaction_required", "interaction_required", lambda scene: scene.refuse("interaction_required"), api=200),
    _aside("invalid_grant without a number", "invalid_grant", lambda scene: scene.refuse("invalid_grant"), api=200),
    _aside(
        "no_refresh_token: the cache has none",
        "no_refresh_token",
        lambda scene: scene.write(sealed_cache=_sealed(scene, "{}")),
        api=200,
    ),
)


def _misconfigured(fault: str, code: str, happen: Callable[[Scene], None], **more: Any) -> Row:
    return Row(
        group="The app is misconfigured",
        fault=fault,
        happen=happen,
        swept=Swept(
            outcome="misconfigured",
            due=Due.STILL,
            level=Level.ERROR,
            line=rf"misconfigured=1 .*stopped: misconfigured {code}$",
            stopped=f"misconfigured {code}",
        ),
        seen=Seen(status=500, code="misconfigured", words="didn't work", line=rf"500 misconfigured: {code}"),
        **more,
    )


def _one_persons(fault: str, code: str, happen: Callable[[Scene], None]) -> Row:
    """An error that may be one person's: nobody else is there who gets it as well."""
    return Row(
        group="The app is misconfigured",
        fault=fault,
        happen=happen,
        swept=Swept(outcome="misconfigured", code=code, line=rf"misconfigured=1 .*misconfigured {code} \(1\)"),
        seen=Seen(status=500, code="misconfigured", words="didn't work", line=rf"500 misconfigured: {code}"),
        mend=Scene.start_anew,
    )


def _secret(state: str) -> Callable[[Scene], None]:
    return lambda scene: scene.tenant.change_app(scene.tenant.client_id, secret_state=state)


def _remove(scene: Scene) -> None:
    scene.tenant.change_app(scene.tenant.client_id, removed_from_tenants=[scene.tenant.tenant_id])


def _unknown_tenant(scene: Scene) -> None:
    scene.restart(AUTHORITY=scene.tenant.authority_of("00000000-0000-0000-0000-00000000dead"))


MISCONFIGURED = (
    _misconfigured("AADSTS7000215: secret wrong", "7000215", _secret("wrong")),
    _misconfigured("AADSTS7000222: secret expired", "7000222", _secret("expired")),
    _one_persons("AADSTS700016: app unknown in the only tenant", "700016", _remove),
    _one_persons("AADSTS70011: invalid_scope", "70011", lambda scene: scene.refuse("invalid_scope", 70011)),
    _one_persons("AADSTS90002: tenant unknown", "90002", _unknown_tenant),
    Row(
        group="The app is misconfigured",
        fault="other_client: CLIENT_ID was changed",
        api=401,
        happen=lambda scene: scene.restart(CLIENT_ID="00000000-0000-0000-0000-00000000000a"),
        swept=Swept(outcome="misconfigured", due=Due.STILL, line=r"misconfigured=1 .*misconfigured other_client \(1\)"),
        seen=Seen(status=500, code="misconfigured", words="didn't work", line="500 misconfigured: other_client"),
        mend=Scene.start_anew,
    ),
)


def _sealed(scene: Scene, cache: str, owner: str = "") -> bytes:
    account = scene.account
    return scene.app.services.settings.key_ring.seal_cache(cache, owner or account.account_id)


def _unreadable(fault: str, code: str, happen: Callable[[Scene], None], **more: Any) -> Row:
    facts: dict[str, Any] = {
        "api": 200,
        "mend": lambda scene: scene.write(sealed_cache=scene.before.sealed_cache),
        **more,
    }
    return Row(
        group="The token cache can't be read",
        fault=fault,
        happen=happen,
        swept=Swept(
            outcome="unreadable",
            state=State.UNREADABLE,
            code=code,
            due=Due.TURN,
            line=rf"unreadable=1 .*unreadable {code} \(1\)",
        ),
        seen=Seen(status=500, code="unreadable", words="Sign in again", line=rf"500 unreadable: {code}"),
        **facts,
    )


def _flip_a_bit(scene: Scene) -> None:
    sealed = bytearray(scene.account.sealed_cache)
    sealed[-30] ^= 1
    scene.write(sealed_cache=bytes(sealed))


_OTHER_SDK = '{"msal.account.keys": ["a"], "home.login.windows.net-idtoken": "{}"}'


def _other_key(scene: Scene) -> None:
    ring = KeyRing({"lost": b"\1" * 32})
    plain = scene.app.services.settings.key_ring.open_cache(scene.account.sealed_cache, scene.account.account_id)
    scene.write(sealed_cache=ring.seal_cache(plain, scene.account.account_id))


UNREADABLE = (
    _unreadable("sealed with a key that is gone", "unknown_key", _other_key),
    _unreadable("a flipped bit", "forged", _flip_a_bit),
    _unreadable(
        "another person's blob", "forged", lambda scene: scene.write(sealed_cache=_sealed(scene, "{}", "somebody-else"))
    ),
    _unreadable("empty", "malformed", lambda scene: scene.write(sealed_cache=b"")),
    _unreadable("not JSON", "token_cache", lambda scene: scene.write(sealed_cache=_sealed(scene, "not json"))),
    _unreadable(
        "another SDK's schema", "token_cache", lambda scene: scene.write(sealed_cache=_sealed(scene, _OTHER_SDK))
    ),
)

ROWS = (*TOKEN_FAILS, *SIGN_IN_REQUIRED, *MISCONFIGURED, *UNREADABLE)
