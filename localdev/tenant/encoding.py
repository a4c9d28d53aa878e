"""base64url without padding, as token formats use it (RFC 7515, appendix C)."""

import base64
import json
from typing import Any


def base64url(data: bytes) -> str:
    """Text for bytes."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_json(value: Any) -> str:
    """Text for a JSON value."""
    return base64url(json.dumps(value, separators=(",", ":")).encode())
