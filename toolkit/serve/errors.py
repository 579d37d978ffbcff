"""Why a request is not answered: each error is an HTTP status and one text for the client.

    RequestError             400  the request is wrong: names input, expected, got, what to do
    ├── UnknownError         404  no such model, version, label or path
    ├── OverloadError        429  the queue is full; `retry_after` seconds
    ├── UnavailableError     503  the model is loading, failed to load, or the server stops
    ├── DeadlineError        504  the answer would come too late
    └── FailedError          500  the model broke; the log says why, the client gets no detail

Limits of HTTP itself (413, 415, 408, 401, ...) are `RequestError` with that status.
"""


class RequestError(Exception):
    """The request cannot be answered as it is."""

    status = 400

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float = 0, allow: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status or type(self).status
        self.retry_after, self.allow = retry_after, allow


class UnknownError(RequestError):
    """There is no such model, version, label or path."""

    status = 404


class OverloadError(RequestError):
    """More requests wait than the limit allows."""

    status = 429


class UnavailableError(RequestError):
    """The model cannot answer now."""

    status = 503


class DeadlineError(RequestError):
    """The time that the request may take is over."""

    status = 504


class FailedError(RequestError):
    """The model failed on a request that looked right."""

    status = 500
