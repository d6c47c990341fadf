"""Encryption at rest: AES-256-GCM with keys from the environment, what composition roots pass to a store. No I/O but
reading a key file; what is sealed and what it is bound to is in `ledger.stores.sealed`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ledger.errors import LedgerError

VARIABLE, FILE_VARIABLE = "LEDGER_ENCRYPTION_KEY", "LEDGER_ENCRYPTION_KEY_FILE"
KEY_BYTES, NONCE_BYTES, ID_BYTES = 32, 12, 4
_FORM = b"\x01"
"""The first byte of what is sealed: which form the rest has."""
_HEAD = len(_FORM) + ID_BYTES
_HOW = "32 random bytes in base64 (openssl rand -base64 32) or in hexadecimal"


class BadKey(LedgerError):
    """The encryption keys that were given are none, or cannot be used here."""


class Sealer:
    """A `ledger.stores.sealed.Cipher`: the first key seals, all of them open.

    Each value is: form (1 byte), key id (4), nonce (12, random), ciphertext and tag. Random nonces allow 2**32 values
    under one key (NIST SP 800-38D, 8.3): some two thousand million records.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """keys: 32 bytes each, at least one. Raises BadKey when `cryptography` is not installed."""
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise BadKey(f"{VARIABLE} needs the proxy extra: pip install 'ledger-sidecar[proxy]'") from None
        self._ciphers = {_id(key): AESGCM(key) for key in keys}
        self._first = _id(keys[0])

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """See `Cipher`."""
        nonce = os.urandom(NONCE_BYTES)
        return _FORM + self._first + nonce + self._ciphers[self._first].encrypt(nonce, plain, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """See `Cipher`."""
        from cryptography.exceptions import InvalidTag

        id, nonce, rest = sealed[len(_FORM) : _HEAD], sealed[_HEAD : _HEAD + NONCE_BYTES], sealed[_HEAD + NONCE_BYTES :]
        if not sealed.startswith(_FORM) or len(nonce) < NONCE_BYTES:
            raise ValueError("it was altered")
        if id not in self._ciphers:
            raise ValueError(f"it is under another key ({id.hex()}); give that one too, after the first")
        try:
            return self._ciphers[id].decrypt(nonce, rest, about)
        except InvalidTag:
            raise ValueError("it was altered, or moved there from another record") from None

    def current(self, sealed: bytes) -> bool:
        """See `Cipher`."""
        return sealed.startswith(_FORM + self._first)


def sealer(environ: Mapping[str, str] = os.environ) -> Sealer | None:
    """What the environment asks for; None when it names no key. Raises BadKey, which never quotes a key."""
    text, source = environ.get(VARIABLE, ""), VARIABLE
    name = environ.get(FILE_VARIABLE)
    if name:
        if text.strip():
            raise BadKey(f"both {VARIABLE} and {FILE_VARIABLE} are set; give the keys in one of them")
        text, source = _read(name), name
    elif not text.strip():
        return None
    keys = [_key(word, number, source) for number, word in enumerate(re.split(r"[\s,]+", text.strip()), 1)]
    return Sealer(keys)


def _read(name: str) -> str:
    try:
        return Path(name).expanduser().read_text("ascii")
    except OSError as error:
        raise BadKey(f"{FILE_VARIABLE}: {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadKey(f"{FILE_VARIABLE}: {name} is not text; a key is {_HOW}") from None


def _key(word: str, number: int, source: str) -> bytes:
    try:
        is_hex = re.fullmatch(r"[0-9A-Fa-f]{64}", word) is not None
        # Both alphabets of RFC 4648, with and without padding.
        key = bytes.fromhex(word) if is_hex else base64.b64decode(_padded(word), altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKey(f"{source}: key {number} is not {_HOW}")
    return key


def _padded(word: str) -> str:
    bare = word.rstrip("=").replace("+", "-").replace("/", "_")
    return bare + "=" * (-len(bare) % 4)


def _id(key: bytes) -> bytes:
    """Tells keys apart, and tells nothing of the key."""
    return hashlib.sha256(b"ledger encryption key id 1\0" + key).digest()[:ID_BYTES]
