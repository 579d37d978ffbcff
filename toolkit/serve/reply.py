"""An answer on its way to the client."""

from collections.abc import Sequence
from typing import Any

from toolkit.serve.json_in import dumps

Headers = Sequence[tuple[bytes, bytes]]

_JSON: Headers = ((b"content-type", b"application/json"),)


class Reply:
    """An answer whose headers are made already; Starlette's own costs several times as much.

    Args:
        body: of the answer.
        headers: names in lower case; the length is added.
        status: of HTTP.
    """

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, body: bytes, headers: Headers = _JSON, status: int = 200) -> None:
        self._body, self._status = body, status
        self._headers = [*headers, (b"content-length", b"%d" % len(body))]

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        """As ASGI has it."""
        head = {"type": "http.response.start", "status": self._status, "headers": self._headers}
        await send(head)
        await send({"type": "http.response.body", "body": self._body})


def json_response(value: Any, status: int = 200) -> Reply:
    """An answer of JSON; arrays may be in it."""
    return Reply(dumps(value), status=status)
