"""Errors of the simulated API server: part of the simulated world, handled as Kubernetes handles them."""

from __future__ import annotations

from collections.abc import Sequence


class ApiError(Exception):
    """A request was refused. ``code`` is the HTTP status, ``reason`` the API's machine-readable word."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class BadRequest(ApiError):
    """400: the request cannot be understood."""

    code = 400
    reason = "BadRequest"


class NotFound(ApiError):
    """404."""

    code = 404
    reason = "NotFound"


class AlreadyExists(ApiError):
    """409: the name is taken."""

    code = 409
    reason = "AlreadyExists"


class Conflict(ApiError):
    """409: the object has changed, or a precondition does not hold."""

    code = 409
    reason = "Conflict"


class Invalid(ApiError):
    """422: validation failed."""

    code = 422
    reason = "Invalid"

    def __init__(self, message: str, causes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.causes = tuple(causes)


class Forbidden(ApiError):
    """403: admission refused (quota, limits, terminating namespace, policy)."""

    code = 403
    reason = "Forbidden"


class TooManyRequests(ApiError):
    """429: a disruption budget does not allow it now."""

    code = 429
    reason = "TooManyRequests"


class InternalError(ApiError):
    """500."""


class Unreachable(ApiError):
    """No answer: the client is cut off from the API server, or the server is down."""

    code = 0
    reason = "Timeout"
