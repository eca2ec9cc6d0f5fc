"""Errors that name a field, in the API server's words.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go, .../api/errors/errors.go.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

FieldPath = tuple[str | int, ...]
Reason = Literal[
    "Required value", "Invalid value", "Forbidden", "Duplicate value", "Unsupported value", "Not found",
    "Unknown field", "Wrong type",
]  # fmt: skip

_NO_VALUE: Final = object()


@dataclass(frozen=True)
class FieldError:
    """One wrong field.

    Parameters
    ----------
    path
        As the API server shows it.
    reason
        The kind of error.
    detail
        What is wrong; may be empty.
    value
        The offending value, where the API server shows it.
    key
        The key or index under `path` that is to blame, where the API server shows only the whole.
    hint
        What would be right, for people; the API server does not say it.
    """

    path: FieldPath
    reason: Reason
    detail: str = ""
    value: Any = _NO_VALUE
    key: str | int | None = None
    hint: str | None = None

    @property
    def field(self) -> str:
        """The path as text: ``spec.containers[0].image``."""
        return path_text(self.path)

    @property
    def message(self) -> str:
        """The error as the API server prints it."""
        if self.reason == "Unknown field":
            return f'unknown field "{self.field}"'
        parts = [self.field] if self.path else []
        if self.reason == "Wrong type":
            return ": ".join([*parts, self.detail])
        parts.append(self.reason if self.value is _NO_VALUE else f"{self.reason}: {_shown(self.value)}")
        if self.detail:
            parts.append(self.detail)
        return ": ".join(parts)

    def __str__(self) -> str:
        return self.message


def required(path: FieldPath, detail: str = "") -> FieldError:
    """Build the error for a field that is missing or empty."""
    return FieldError(path, "Required value", detail)


def invalid(path: FieldPath, value: Any, detail: str, key: str | int | None = None) -> FieldError:
    """Build the error for a value that breaks a rule."""
    return FieldError(path, "Invalid value", detail, value, key)


def forbidden(path: FieldPath, detail: str) -> FieldError:
    """Build the error for a field that may not be set, or not be changed."""
    return FieldError(path, "Forbidden", detail)


def duplicate(path: FieldPath, value: Any) -> FieldError:
    """Build the error for a value that must be unique."""
    return FieldError(path, "Duplicate value", "", value)


def not_found(path: FieldPath, value: Any) -> FieldError:
    """Build the error for a reference that leads nowhere."""
    return FieldError(path, "Not found", "", value)


def unsupported(path: FieldPath, value: Any, supported: Iterable[str]) -> FieldError:
    """Build the error for a value that is not one of a few."""
    return FieldError(
        path, "Unsupported value", "supported values: " + ", ".join(f'"{name}"' for name in supported), value
    )


def path_text(path: FieldPath) -> str:
    """A path as the API server writes it."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def invalid_message(resource: str, name: str, errors: Sequence[FieldError]) -> str:
    """Message of the 422 Invalid that the API server answers.

    Parameters
    ----------
    resource
        Kind and group: ``StatefulSet.apps``, ``Pod``.
    name
        The object's.
    errors
        At least one.
    """
    texts = list(dict.fromkeys(error.message for error in errors))
    return f'{resource} "{name}" is invalid: ' + (texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")


def _shown(value: Any) -> str:
    return "null" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
