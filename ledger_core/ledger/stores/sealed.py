"""Kept results under a cipher, bound to the record, epoch and column they belong to. Holds no key, knows no algorithm.

The core stands on the standard library, which has no authenticated cipher: a composition root passes one in.
"""

from __future__ import annotations

from typing import Any, Protocol

from ledger.compact import loads
from ledger.errors import ResultSealed
from ledger.records import Result

_META, _META_ALONE, _BODY = "meta", "meta without a body", "body"


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
        return meta, body
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
        return meta, body
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


def _about(id: str, epoch: int, column: str) -> bytes:
    """What a sealed value is bound to, so that none can be moved to another row, epoch or column."""
    return "\0".join(("ledger result 1", id, str(epoch), column)).encode("utf-8", "surrogatepass")
