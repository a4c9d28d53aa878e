"""Token texts as long as Entra's. They are made from a person's object id, so that every process makes the same ones.

The silent path verifies no signature: MSAL reads the id token's claims, and the app reads none.
"""

import base64
import hashlib
import json

TENANT_ID = "11111111-2222-4333-8444-555555555555"
CLIENT_ID = "66666666-7777-4888-8999-aaaaaaaaaaaa"
SCOPE = "User.Read openid profile email"
_HEADER: dict[str, object] = {"typ": "JWT", "alg": "RS256", "kid": "bench"}
EXPIRES_IN = 1  # used up at once: every turn renews it


def _noise(name: str, length: int) -> str:
    """Text that does not compress; the same for the same name."""
    digest = hashlib.shake_256(name.encode()).digest(length)
    return base64.urlsafe_b64encode(digest).decode()[:length]


_ACCESS, _REFRESH, _SIGNATURE = _noise("access", 2200), _noise("refresh", 1200), _noise("signature", 342)


def object_id(number: int) -> str:
    """The object id of the person with this number."""
    digits = hashlib.sha256(str(number).encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def access_token(oid: str) -> str:
    """The person's access token, an opaque text."""
    return f"{oid}.{_ACCESS}"


def refresh_token(oid: str, serial: int) -> str:
    """The person's refresh token, which begins with the object id and the serial number."""
    return f"{oid}.{serial}.{_REFRESH}"


def client_info(oid: str) -> str:
    """Entra's answer to `client_info=1`."""
    return _json64({"uid": oid, "utid": TENANT_ID})


def id_token(oid: str) -> str:
    """The person's id token: valid header and claims, a signature of noise. It expires in 2100."""
    claims = {
        "aud": CLIENT_ID,
        "iss": f"https://localhost/{TENANT_ID}/v2.0",
        "iat": 1_735_689_600,
        "nbf": 1_735_689_600,
        "exp": 4_102_444_800,
        "name": "Somebody Somewhere",
        "preferred_username": f"{oid}@contoso.example",
        "oid": oid,
        "tid": TENANT_ID,
        "sub": _SIGNATURE[:43],
        "ver": "2.0",
    }
    return f"{_json64(_HEADER)}.{_json64(claims)}.{_SIGNATURE}"


def _json64(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
