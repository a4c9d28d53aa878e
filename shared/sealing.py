"""Authenticated encryption for token caches and cookies, with a key ring that can be rotated while running.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce, and one subkey per purpose, by HKDF-SHA256 (RFC 5869). The
purpose and the owner (an account id, for instance) are associated data: a value opens for no other purpose or owner.

A sealed value: version (1 byte, 1), length of the key id (1 byte), key id, nonce (12), ciphertext and tag.
"""

import base64
import binascii
import functools
import os
import re
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import SealError

_VERSION = 1
_NONCE_BYTES = 12
_KEY_BYTES = 32
_FEWEST_DIFFERENT_BYTES = 16  # 32 random bytes have fewer once in 10^15 keys
_MOST_INFLATED_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class KeyRing:
    """Keys by id, newest first. The first one seals, all of them open."""

    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Parses `<key id>:<32 bytes in base64url>`, by comma, newest first.

        Raises:
            ValueError: says what is wrong, without the key. A key that was not drawn at random is wrong as well: all
                zeros, a few bytes repeated, or 16 bytes twice; and so is one key under two ids.
        """
        keys: dict[str, bytes] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            key_id, colon, encoded = entry.partition(":")
            if not colon or not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", key_id) or key_id in keys:
                raise ValueError("each key is <key id>:<base64url>, each key id once (letters, digits, . _ -)")
            try:
                keys[key_id] = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                keys[key_id] = b""
            if len(keys[key_id]) != _KEY_BYTES:
                raise ValueError(f"key {key_id!r} is not 32 bytes in base64url")
            key = keys[key_id]
            if len(set(key)) < _FEWEST_DIFFERENT_BYTES or key[: _KEY_BYTES // 2] == key[_KEY_BYTES // 2 :]:
                raise ValueError(f"key {key_id!r} repeats its bytes: python3 dev.py keys new makes a random one")
            if len(set(keys.values())) < len(keys):
                raise ValueError(f"key {key_id!r} is the same key as another one, under a new id")
        if not keys:
            raise ValueError("at least one key is needed")
        return cls(keys)

    def seal(self, data: bytes, *, purpose: str, owner: str = "") -> bytes:
        """Seals `data` with the newest key, for this purpose and owner only."""
        key_id = next(iter(self.keys))
        nonce = os.urandom(_NONCE_BYTES)
        name = key_id.encode()
        sealed = _cipher(self.keys[key_id], purpose).encrypt(nonce, data, _associated(purpose, owner))
        return bytes([_VERSION, len(name)]) + name + nonce + sealed

    def open(self, sealed: bytes, *, purpose: str, owner: str = "") -> bytes:
        """Opens what was sealed for this purpose and owner.

        Raises:
            SealError: `malformed`, `unknown_key` or `forged`.
        """
        key_id = sealed_with(sealed)
        start = 2 + len(key_id.encode())
        nonce, body = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        if key_id not in self.keys:
            raise SealError("unknown_key", key_id)
        try:
            return _cipher(self.keys[key_id], purpose).decrypt(nonce, body, _associated(purpose, owner))
        except (InvalidTag, ValueError) as error:
            raise SealError("forged", key_id) from error

    def seal_text(self, text: str, *, purpose: str, owner: str = "") -> str:
        """Seals a text, as base64url without padding: the Functions host escapes other characters in cookies."""
        return base64.urlsafe_b64encode(self.seal(text.encode(), purpose=purpose, owner=owner)).rstrip(b"=").decode()

    def open_text(self, text: str, *, purpose: str, owner: str = "") -> str:
        """Opens what `seal_text` sealed. Raises SealError."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise SealError("malformed") from error
        try:
            return self.open(sealed, purpose=purpose, owner=owner).decode()
        except UnicodeDecodeError as error:
            raise SealError("malformed") from error

    def seal_cache(self, serialized: str, account_id: str) -> bytes:
        """Compresses (RFC 1950) a serialized MSAL token cache and seals it for its account."""
        # zlib allocates and clears its tables for each cache: the usual 256 KiB take twice the time, and more memory.
        deflate = zlib.compressobj(wbits=14, memLevel=6)
        compressed = deflate.compress(serialized.encode()) + deflate.flush()
        return self.seal(compressed, purpose="token-cache", owner=account_id)

    def open_cache(self, sealed: bytes, account_id: str) -> str:
        """Opens the serialized MSAL token cache of `account_id`. Raises SealError."""
        opened = self.open(sealed, purpose="token-cache", owner=account_id)
        try:
            inflate = zlib.decompressobj()
            text = inflate.decompress(opened, _MOST_INFLATED_BYTES)
            if not inflate.eof:
                raise SealError("malformed")
            return text.decode()
        except (zlib.error, UnicodeDecodeError) as error:
            raise SealError("malformed") from error


def new_key(key_id: str) -> str:
    """A new entry for ENCRYPTION_KEYS, with a random key."""
    return f"{key_id}:{base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).rstrip(b'=').decode()}"


def sealed_with(sealed: bytes) -> str:
    """The id of the key that a sealed value names. Nothing is verified yet. Raises SealError("malformed")."""
    if len(sealed) < 2 or sealed[0] != _VERSION or len(sealed) < 2 + sealed[1] + _NONCE_BYTES + 16:
        raise SealError("malformed")
    try:
        return sealed[2 : 2 + sealed[1]].decode("ascii")
    except UnicodeDecodeError as error:
        raise SealError("malformed") from error


def _associated(purpose: str, owner: str) -> bytes:
    return len(purpose).to_bytes(2, "big") + purpose.encode() + owner.encode()


@functools.lru_cache(maxsize=64)
def _cipher(key: bytes, purpose: str) -> AESGCM:
    return AESGCM(
        HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"understudy:" + purpose.encode()).derive(key)
    )
