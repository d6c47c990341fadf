"""Log lines of a sidecar, as JSON for machines and as text for people. No bodies, no credentials, no URLs' queries."""

from __future__ import annotations

import json
import logging
import os
import queue
import select
import sys
import threading
from datetime import UTC, datetime

TOLD = ("rule", "record", "outcome", "wf", "caller", "status", "ms")
"""What a line about an operation says, in this order."""


_GREEN, _CYAN, _RED, _YELLOW = 32, 36, 31, 33
_COLOURS = {"executed": _GREEN, "replayed": _CYAN, "failed": _RED, "unknown": _RED, "held": _RED}
"""Of an outcome on a terminal, as ECMA-48 numbers them; what is not here was refused."""


class JsonLines(logging.Formatter):
    """One object per line: `at` (RFC 3339, UTC), `level`, `message` and, of an operation, `TOLD`."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        told = {"at": at, "level": record.levelname.lower(), "message": record.getMessage(), **_operation(record)}
        if record.exc_info and record.exc_info[0] is not None:
            # Where it failed, never with what: a traceback's last line can quote what was sent.
            told["error"] = record.exc_info[0].__name__
        return json.dumps(told)


class Text(logging.Formatter):
    """One line for a person, with the time of day. colours: whether a terminal shows it."""

    def __init__(self, colours: bool = False) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line, outcome = _harmless(self._line(record)), str(getattr(record, "outcome", ""))
        if not self._colours or not outcome:
            return line
        return line.replace(outcome, f"\x1b[{_COLOURS.get(outcome, _YELLOW)}m{outcome}\x1b[0m", 1)

    def _line(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        told = _operation(record)
        if not told:
            return f"{at}  ledger: {record.getMessage()}"
        whose = f"{told['wf']}/{told['caller']}" if told.get("caller") else told.get("wf", "")
        parts = (f"{told['outcome']:<9}", told["record"], told["rule"], whose, told.get("status", ""))
        return f"{at}  " + "  ".join(str(part) for part in parts if part != "") + f"  {told['ms']} ms"


class Plain(logging.Formatter):
    """A warning for a person; of an exception its kind alone, as in `JsonLines`."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        kind = record.exc_info[0] if record.exc_info else None
        return _harmless(f"ledger: {record.getMessage()}{f' ({kind.__name__})' if kind else ''}")


def _harmless(line: str) -> str:
    """What would end the line, or move a cursor, spelled out: workflows and callers are whatever somebody sends."""
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


WAITING = 10_000
"""Lines that wait to be written."""
LEAVE_SECONDS = 1.0
"""What a process that ends gives its log."""


class Apart(logging.Handler):
    """Writes from a thread of its own: a log that nobody reads must stop no exchange.

    fd: where to. room: lines that may wait; what comes when they do is counted, and told when there is room again.
    """

    def __init__(self, fd: int, room: int = WAITING) -> None:
        super().__init__()
        self._fd, self._lost, self._counting = fd, 0, threading.Lock()
        self._waiting: queue.Queue[str | None] = queue.Queue(room)
        self._thread = threading.Thread(target=self._write_all, name="ledger-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            with self._counting:
                self._lost += 1
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for a moment at most."""
        try:
            self._waiting.put(None, timeout=LEAVE_SECONDS)
            self._thread.join(LEAVE_SECONDS)
        except queue.Full:
            pass  # nobody reads it
        super().close()

    def _write_all(self) -> None:
        try:
            while (line := self._waiting.get()) is not None:
                self._write(line)
                with self._counting:
                    lost, self._lost = self._lost, 0
                if lost:
                    text = f"{lost} lines did not fit into the log, which was not read"
                    self._write(self.format(logging.makeLogRecord({"msg": text, "levelname": "WARNING"})))
        except OSError:
            pass  # its reader is gone

    def _write(self, line: str) -> None:
        """Past Python's own buffers, whose lock a thread must not hold when the interpreter ends."""
        rest = line.encode("utf-8", "backslashreplace") + b"\n"
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # whoever shares it may have made it so
                select.select((), (self._fd,), ())


def _operation(record: logging.LogRecord) -> dict[str, object]:
    found = ((name, getattr(record, name, None)) for name in TOLD)
    return {name: value for name, value in found if value is not None}


def to_stderr(form: str | None, apart: bool = False) -> None:
    """Where the log goes. form: `json` or `text`, each with a line for every operation; None for warnings alone.

    apart: without waiting for whoever reads it.
    """
    handler = Apart(sys.stderr.fileno()) if apart else logging.StreamHandler()
    text = Text(colours=sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
    handler.setFormatter({"json": JsonLines(), "text": text}.get(form or "", Plain()))
    logging.basicConfig(level=logging.WARNING if form is None else logging.INFO, handlers=[handler], force=True)
    # mitmproxy's crash logs hold raw body bytes, and its connection log is noise.
    logging.getLogger("mitmproxy").setLevel(logging.CRITICAL)
    logging.getLogger("mitmproxy.proxy.server").disabled = True
