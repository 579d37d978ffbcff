"""What the server tells of itself: one line an event, as JSON or for people, without secrets.

Bodies, answers and headers are never logged, so neither are tokens.
"""

import datetime
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

from toolkit.serve.json_in import dumps

_MOST = 4000  # characters of a text from elsewhere


class Log:
    """Writes lines to a stream; for any thread.

    Args:
        as_json: an object a line; otherwise text.
        stream: stderr by default.
    """

    def __init__(self, as_json: bool = False, stream: TextIO | None = None) -> None:
        self._as_json, self._stream = as_json, stream or sys.stderr
        self._lock = threading.Lock()

    def event(self, event: str, *, level: str = "info", **facts: Any) -> None:
        """Tell what happened.

        Args:
            event: a word or two, always the same for the same kind of event.
            level: 'info', 'warning' or 'error'.
            facts: plain values.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        facts = {name: _short(value) for name, value in facts.items() if value not in (None, "")}
        if self._as_json:
            line = dumps({"time": now, "level": level, "event": event, **facts}).decode()
        else:
            parts = [f"{name}={_word(value)}" for name, value in facts.items()]
            line = " ".join([now[11:23], level, event, *parts])
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()

    def request(
        self,
        scope: Mapping[str, Any],
        request_id: str,
        status: int,
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """Tell of a request that was answered; `error` is why it was refused, if it was."""
        client = scope.get("client") or ("",)
        level = "error" if status >= 500 else "warning" if status >= 400 else "info"
        facts = {"reason": str(error), "cause": _cause(error)} if error is not None else {}
        self.event(
            "request",
            level=level,
            id=request_id,
            client=client[0],
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(1000 * seconds, 3),
            **facts,
        )


def _cause(error: BaseException | None) -> str:
    """What the client was not told: the exception behind, with its traceback if nobody meant it."""
    from toolkit.serve.errors import RequestError

    if error is None:
        return ""
    if isinstance(error, RequestError):
        cause = error.__cause__
        return f"{type(cause).__name__}: {cause}" if cause is not None else ""
    return "".join(traceback.format_exception(error))


def _short(value: Any) -> Any:
    return value[:_MOST] if isinstance(value, str) else value


def _word(value: Any) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text and text else repr(text)
