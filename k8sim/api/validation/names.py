"""The shapes of names, labels and small values.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go, pkg/apis/core/validation/validation.go.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8sim.api.fielderror import FieldError, FieldPath, invalid, required, unsupported

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_PERCENT = re.compile(r"[0-9]+%")
_PORT_NAME = re.compile(r"[-a-z0-9]*")

_SAY_LABEL: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SAY_LABEL_1035: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_SAY_SUBDOMAIN: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_SAY_NAME_PART: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_SAY_LABEL_VALUE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def dns_label(name: str) -> list[str]:
    """What is wrong with a DNS label (RFC 1123)."""
    return _shape(name, _LABEL, _SAY_LABEL, 63)


def dns_label_1035(name: str) -> list[str]:
    """What is wrong with a DNS label that begins with a letter, as a Service's name must."""
    return _shape(name, _LABEL_1035, _SAY_LABEL_1035, 63)


def dns_subdomain(name: str) -> list[str]:
    """What is wrong with a DNS subdomain, as most objects' names are."""
    return _shape(name, _SUBDOMAIN, _SAY_SUBDOMAIN, 253)


def _shape(name: str, shape: re.Pattern[str], say: str, longest: int) -> list[str]:
    problems = [] if len(name) <= longest else [f"must be no more than {longest} characters"]
    return problems if shape.fullmatch(name) else [*problems, say]


def qualified_name(name: str) -> list[str]:
    """What is wrong with a label key: a name, or a DNS subdomain, a slash, and a name."""
    prefix, slash, part = name.rpartition("/")
    problems: list[str] = []
    if slash:
        if not prefix:
            problems.append("prefix part must be non-empty")
        elif "/" in prefix:
            return [
                "a qualified name " + _SAY_NAME_PART[10:] + " with an optional DNS subdomain prefix and '/' "
                "(e.g. 'example.com/MyName')"
            ]
        problems += [f"prefix part {say}" for say in (dns_subdomain(prefix) if prefix else ())]
    if not part:
        problems.append("name part must be non-empty")
    elif len(part) > 63:
        problems.append("name part must be no more than 63 characters")
    if not _NAME_PART.fullmatch(part):
        problems.append(_SAY_NAME_PART)
    return problems


def label_value(value: str) -> list[str]:
    """What is wrong with a label's value."""
    return _shape(value, _LABEL_VALUE, _SAY_LABEL_VALUE, 63)


def port_name(name: str) -> list[str]:
    """What is wrong with a port's name (IANA service name)."""
    problems = [] if len(name) <= 15 else ["must be no more than 15 characters"]
    if not _PORT_NAME.fullmatch(name):
        problems.append("must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name and (name[0] == "-" or name[-1] == "-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def each(path: FieldPath, value: Any, problems: list[str], key: str | int | None = None) -> Iterator[FieldError]:
    """Field errors of a value with these problems."""
    for problem in problems:
        yield invalid(path, value, problem, key)


def check_labels(labels: Mapping[str, str] | None, path: FieldPath) -> Iterator[FieldError]:
    """Check labels, or a node selector. The API server blames the whole; we know the key."""
    for key, value in (labels or {}).items():
        yield from each(path, key, qualified_name(key), key)
        yield from each(path, value, label_value(value or ""), key)


def non_negative(spec: Mapping[str, Any], path: FieldPath, *fields: str) -> Iterator[FieldError]:
    """Check that integers, where set, are not negative."""
    for field in fields:
        value = spec.get(field)
        if value is not None and value < 0:
            yield invalid((*path, field), value, "must be greater than or equal to 0")


def int_or_percent(value: int | str | None, path: FieldPath, *, at_most_100: bool = True) -> Iterator[FieldError]:
    """Check a number or a percentage."""
    if value is None:
        return
    if isinstance(value, int):
        if value < 0:
            yield invalid(path, value, "must be greater than or equal to 0")
    elif not _PERCENT.fullmatch(value):
        yield invalid(
            path,
            value,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex "
            "used for validation is '[0-9]+%')",
        )
    elif at_most_100 and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def one_of(value: Any, path: FieldPath, *supported: str, needed: bool = False) -> Iterator[FieldError]:
    """Check that a value, where set, is one of a few."""
    if value in (None, ""):
        if needed:
            yield required(path)
    elif value not in supported:
        yield unsupported(path, value, supported)


def port_number(value: int, path: FieldPath) -> Iterator[FieldError]:
    """Check a port number."""
    if not 1 <= value <= 65535:
        yield invalid(path, value, "must be between 1 and 65535, inclusive")


def number_or_port_name(value: int | str, path: FieldPath) -> Iterator[FieldError]:
    """Check a port by number or by name."""
    if isinstance(value, int):
        yield from port_number(value, path)
    else:
        yield from each(path, value, port_name(value))
