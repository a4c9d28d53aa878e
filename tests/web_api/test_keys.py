"""The authority's signing keys: fetched once, and again when an unknown key appears, but at most once per minute."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jwt.warnings import InsecureKeyLengthWarning

from shared.clients.answers import Unavailable, json_object
from shared.clients.http import HttpClient
from shared.identity.metadata import Metadata
from shared.identity.verification import TokenRefused, Verifier
from tests.shared.authority import Authority, Monotonic, serving

AUDIENCE = ["api"]


@pytest.fixture
def authority() -> Iterator[Authority]:
    """An authority with one key, `k1`."""
    with serving() as server:
        yield server


@pytest.fixture
def clock() -> Monotonic:
    """The key cache's clock."""
    return Monotonic()


@pytest.fixture
def verifier(authority: Authority, clock: Monotonic) -> Iterator[Verifier]:
    """The verifier of this authority's tokens."""
    http = HttpClient(longest_seconds=60)
    metadata = Metadata(http, clock=clock)
    yield Verifier(metadata, lambda: json_object(metadata.get(f"{authority.url}/discovery")))
    http.close()


def made_up(authority: Authority, number: int) -> str:
    """A token that names a key which the authority doesn't have. Anybody can write one."""
    return authority.token("k1", header={"kid": f"made-up-{number}"})


def reason(verifier: Verifier, token: str) -> str:
    """The reason for refusing a token."""
    with pytest.raises(TokenRefused) as refused:
        verifier.verify_access_token(token, audience=AUDIENCE)
    return refused.value.reason


def test_keys_are_fetched_once_for_many_threads(authority: Authority, verifier: Verifier) -> None:
    """Many threads with many tokens share one fetch."""
    token = authority.token("k1")
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: verifier.verify_access_token(token, audience=AUDIENCE), range(32)))
    assert {each["tid"] for each in claims} == {"t1"}
    assert authority.fetched == {"/discovery": 1, "/keys": 1}


def test_a_new_key_is_found_and_strangers_cost_one_request_a_minute(
    authority: Authority, verifier: Verifier, clock: Monotonic
) -> None:
    """This holds however many tokens with unknown keys arrive."""
    verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)
    clock.seconds += 61
    authority.add_key("k2")
    assert verifier.verify_access_token(authority.token("k2"), audience=AUDIENCE)["tid"] == "t1"
    assert authority.fetched["/keys"] == 2
    stranger = made_up(authority, 1)
    assert {reason(verifier, stranger) for _ in range(20)} == {"unknown_key"}
    assert authority.fetched["/keys"] == 2
    clock.seconds += 61
    assert {reason(verifier, stranger) for _ in range(20)} == {"unknown_key"}
    assert authority.fetched["/keys"] == 3


def test_a_key_that_was_changed_a_moment_ago_is_found(
    authority: Authority, verifier: Verifier, clock: Monotonic
) -> None:
    """The keys are fresh, and are fetched once more; the next unknown key has to wait a minute."""
    verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)
    clock.seconds += 6
    authority.add_key("k2")
    assert verifier.verify_access_token(authority.token("k2"), audience=AUDIENCE)["tid"] == "t1"
    clock.seconds += 59
    authority.add_key("k3")
    assert reason(verifier, authority.token("k3")) == "unknown_key"
    clock.seconds += 1
    assert verifier.verify_access_token(authority.token("k3"), audience=AUDIENCE)["tid"] == "t1"
    assert authority.fetched["/keys"] == 3


def test_a_token_that_names_no_key_needs_a_single_one(
    authority: Authority, verifier: Verifier, clock: Monotonic
) -> None:
    """OpenID Connect Core 1.0, 10.1. With two that fit, nobody guesses."""
    nameless = authority.token("k1", header={"kid": None})
    assert verifier.verify_access_token(nameless, audience=AUDIENCE)["tid"] == "t1"
    clock.seconds += 1
    authority.add_key("k2")
    verifier.verify_access_token(authority.token("k2"), audience=AUDIENCE)  # which fetches both
    assert reason(verifier, nameless) == "unknown_key"


def test_keys_are_renewed_after_a_day(authority: Authority, verifier: Verifier, clock: Monotonic) -> None:
    """A withdrawn key is not trusted forever."""
    token = authority.token("k1")
    verifier.verify_access_token(token, audience=AUDIENCE)
    del authority.private["k1"]
    verifier.verify_access_token(token, audience=AUDIENCE)
    clock.seconds += 24 * 3600 + 1
    assert reason(verifier, token) == "unknown_key"


def test_a_key_signs_for_its_own_issuer_only(authority: Authority, verifier: Verifier) -> None:
    """When the authority names a key's issuer, another tenant's key proves nothing about this tenant's people."""
    authority.add_key("t1-only", issuer=f"{authority.url}/t1")
    authority.add_key("anybody", issuer=f"{authority.url}/{{tenantid}}")
    assert verifier.verify_access_token(authority.token("t1-only", "t1"), audience=AUDIENCE)["tid"] == "t1"
    assert verifier.verify_access_token(authority.token("anybody", "t2"), audience=AUDIENCE)["tid"] == "t2"
    assert reason(verifier, authority.token("t1-only", "t2")) == "issuer"


def test_an_authority_that_fails_is_no_reason_to_trust_or_refuse(
    authority: Authority, verifier: Verifier, clock: Monotonic
) -> None:
    """The token is `unavailable` until the authority is back, and then accepted."""
    authority.status = 500
    with pytest.raises(Unavailable):
        verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)
    authority.status = 200
    clock.seconds += 60
    assert verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)


@pytest.mark.parametrize("hours", [1, 25, 47])
def test_known_keys_outlive_an_authority_that_is_down(
    authority: Authority, verifier: Verifier, clock: Monotonic, hours: int
) -> None:
    """Tokens signed with known keys are still accepted, for a day longer than with an authority that answers."""
    verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)
    authority.status = 500
    clock.seconds += hours * 3600
    assert verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)


def test_keys_that_nobody_could_renew_for_two_days_are_trusted_no_longer(
    authority: Authority, verifier: Verifier, clock: Monotonic
) -> None:
    """Somebody could have withdrawn them, or keeps us from the authority."""
    verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)
    authority.status = 500
    clock.seconds += 48 * 3600
    with pytest.raises(Unavailable, match="http_500"):
        verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)


@pytest.mark.parametrize("hours", [1, 25])
def test_nobody_waits_while_a_made_up_key_is_looked_for(
    authority: Authority, verifier: Verifier, clock: Monotonic, hours: int
) -> None:
    """One stranger waits for the slow authority. Eleven others are refused at once, and a caller with a good key is let
    in at once, whatever the age of the keys."""
    good = authority.token("k1")
    verifier.verify_access_token(good, audience=AUDIENCE)
    clock.seconds += hours * 3600
    authority.hold("/keys")
    with ThreadPoolExecutor(1) as pool:
        try:
            waiting = pool.submit(reason, verifier, made_up(authority, 0))
            authority.wait_for("/keys", 2)
            for number in range(1, 12):
                with pytest.raises(Unavailable, match="busy"):
                    reason(verifier, made_up(authority, number))
            assert verifier.verify_access_token(good, audience=AUDIENCE)
            assert not waiting.done()
        finally:
            authority.release("/keys")
        assert waiting.result() == "unknown_key"
    assert authority.fetched["/keys"] == 2


def test_made_up_keys_cost_a_failing_authority_one_request_a_minute(
    authority: Authority, verifier: Verifier, clock: Monotonic
) -> None:
    """A caller with a good key notices nothing, and a new key is found when the minute is over."""
    verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)
    authority.status = 503
    clock.seconds += 3600
    for number in range(12):
        with pytest.raises(Unavailable, match="http_503"):
            reason(verifier, made_up(authority, number))
        assert verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)
    assert authority.fetched["/keys"] == 2
    authority.status = 200
    authority.add_key("k2")
    clock.seconds += 60
    assert verifier.verify_access_token(authority.token("k2"), audience=AUDIENCE)
    assert authority.fetched["/keys"] == 3


def test_a_short_rsa_key_signs_for_nobody(authority: Authority, verifier: Verifier) -> None:
    """RFC 7518, 3.3: 2048 bits or more."""
    authority.add_key("short", bits=1024)
    with pytest.warns(InsecureKeyLengthWarning):
        token = authority.token("short")
    assert reason(verifier, token) == "weak_key"


def test_a_key_for_another_use_signs_for_nobody(authority: Authority, verifier: Verifier) -> None:
    """RFC 7517, 4.2: `use` says what a key is for. A key that does not say it may sign."""
    key = authority.jwk("k1")
    authority.odd_keys = [key | {"kid": "for-encryption", "use": "enc"}, {**key, "kid": "for-any-use"}]
    del authority.odd_keys[1]["use"]
    assert reason(verifier, authority.token("k1", header={"kid": "for-encryption"})) == "unknown_key"
    assert verifier.verify_access_token(authority.token("k1", header={"kid": "for-any-use"}), audience=AUDIENCE)


def test_a_key_without_an_id_is_passed_over(authority: Authority, verifier: Verifier) -> None:
    """`kid` is optional (RFC 7517, 4.5). The other keys of the list are known all the same."""
    nameless = authority.jwk("k1")
    del nameless["kid"]
    authority.odd_keys = [nameless]
    assert verifier.verify_access_token(authority.token("k1"), audience=AUDIENCE)
    assert reason(verifier, authority.token("k1", header={"kid": "None"})) == "unknown_key"


@pytest.mark.parametrize("typ", ["JWT", "jwt", None, "at+jwt", "AT+JWT", "application/at+jwt"])
def test_an_access_token_may_say_what_it_is(authority: Authority, verifier: Verifier, typ: str | None) -> None:
    """As Entra's do, in the way of RFC 9068, or not at all."""
    assert verifier.verify_access_token(authority.token("k1", header={"typ": typ}), audience=AUDIENCE)


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "id_token", "JWE", 5])
def test_a_token_of_another_type_is_no_access_token(authority: Authority, verifier: Verifier, typ: Any) -> None:
    """The same keys sign other tokens too."""
    assert reason(verifier, authority.token("k1", header={"typ": typ})) == "type"


@pytest.mark.parametrize("subject", [None, "", "s" * 256])
def test_a_token_needs_a_subject(authority: Authority, verifier: Verifier, subject: str | None) -> None:
    """RFC 9068, 2.2; 255 characters at most (OpenID Connect Core 1.0, 2)."""
    assert reason(verifier, authority.token("k1", sub=subject)) == "claims"
    assert verifier.verify_access_token(authority.token("k1", sub="s" * 255), audience=AUDIENCE)


@pytest.mark.parametrize("tenant", [None, "", "t2"])
def test_a_token_is_of_the_tenant_that_its_issuer_names(
    authority: Authority, verifier: Verifier, tenant: str | None
) -> None:
    """Else its `tid` would say whatever it likes."""
    assert reason(verifier, authority.token("k1", tid=tenant)) == "issuer"
