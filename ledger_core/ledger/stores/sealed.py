"""Kept results, bound to the record and epoch they belong to: by a cipher, or by a checksum. Holds no key.

The core stands on the standard library, which has no authenticated cipher: a composition root passes one in. Without
one a checksum tells an answer that a disk damaged from the one that was recorded; nobody is kept from altering both.
"""

from __future__ import annotations

import zlib
from typing import Any, Protocol

from ledger.compact import loads
from ledger.errors import ResultSealed
from ledger.records import Result

_META, _META_ALONE, _BODY = "meta", "meta without a body", "body"
_SUM = 8
"""Characters of a checksum in front of a plain meta."""


class Cipher(Protocol):
    """Authenticated encryption, as `ledger_proxy.sealing` has it."""

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Encrypt; opens only with the same `about`."""
        ...

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Decrypt. Raises ValueError, saying why, when that cannot be done: no such key, or not what was sealed."""
        ...

    def current(self, sealed: bytes) -> bool:
        """Whether this was sealed under the key that seals now."""
        ...


def cipher_of(db: object) -> Cipher | None:
    """What the results behind a `files.Connection` are sealed with; None: they are not."""
    cipher: Cipher | None = getattr(db, "cipher", None)
    return cipher


def closed(
    meta: str, body: bytes | None, id: str, epoch: int, cipher: Cipher | None
) -> tuple[str | bytes, bytes | None]:
    """The two columns of a result as they are written: sealed where there is a cipher. Sealed meta is bytes."""
    if cipher is None:
        return _sum(meta, body, id, epoch) + meta, body
    head = cipher.seal(
        meta.encode("utf-8", "surrogatepass"), _about(id, epoch, _META if body is not None else _META_ALONE)
    )
    return head, None if body is None else cipher.seal(body, _about(id, epoch, _BODY))


def opened(
    meta: str | bytes, body: bytes | None, id: str, epoch: int, cipher: Cipher | None
) -> tuple[str, bytes | None]:
    """The two columns as they were before `closed`. Raises ResultSealed.

    With a cipher nothing is believed that it did not seal: whoever can write the file could otherwise put a plain
    answer in the place of a sealed one.
    """
    if isinstance(meta, str):
        if cipher is not None:
            raise ResultSealed(
                f"what record {id} answers is not encrypted, though a key is given; "
                "`ledger encrypt` encrypts what was kept before"
            )
        return _checked(meta, body, id, epoch), body
    if cipher is None:
        raise ResultSealed(
            f"what record {id} answers is encrypted: set LEDGER_ENCRYPTION_KEY or LEDGER_ENCRYPTION_KEY_FILE"
        )
    try:
        head = cipher.open(meta, _about(id, epoch, _META if body is not None else _META_ALONE))
        return head.decode("utf-8", "surrogatepass"), None if body is None else cipher.open(
            body, _about(id, epoch, _BODY)
        )
    except ValueError as error:
        raise ResultSealed(f"what record {id} answers cannot be decrypted: {error}") from None


def result_from(meta: str | bytes, body: bytes | None, id: str, epoch: int, cipher: Cipher | None) -> Result:
    """A result from its two columns. Raises ResultSealed."""
    text, plain = opened(meta, body, id, epoch, cipher)
    kept: dict[str, Any] = loads(text)
    return Result(kept, plain)


def _checked(meta: str, body: bytes | None, id: str, epoch: int) -> str:
    if meta.startswith("{"):  # written before there were checksums
        return meta
    if meta[:_SUM] != _sum(meta[_SUM:], body, id, epoch):
        raise ResultSealed(f"what record {id} answers is damaged on the disk; check it, and restore a copy")
    return meta[_SUM:]


def _sum(meta: str, body: bytes | None, id: str, epoch: int) -> str:
    whole = zlib.crc32(f"{id} {epoch} {body is None} {meta}".encode("utf-8", "surrogatepass"))
    return f"{zlib.crc32(body, whole) if body else whole:08x}"


def _about(id: str, epoch: int, column: str) -> bytes:
    """What a sealed value is bound to, so that none can be moved to another row, epoch or column."""
    return "\0".join(("ledger result 1", id, str(epoch), column)).encode("utf-8", "surrogatepass")
