"""Cron expressions: when the next run is due.

Five fields (minute, hour, day of month, month, day of week), names, ranges, steps and lists, and the descriptors
``@hourly`` .. ``@yearly`` and ``@every 1h30m``, as github.com/robfig/cron/v3 ParseStandard reads them: if both day
fields are restricted a day that fits either is good, otherwise a day has to fit both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_YEARS_AHEAD = 5


@dataclass(frozen=True)
class Schedule:
    """Minutes, hours, days, months and weekdays of a cron expression; or a fixed interval."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = True
    any_weekday: bool = True
    every_s: int = 0
    zone: tzinfo = UTC

    def next(self, after: datetime) -> datetime | None:
        """Return the first run after a time (UTC), None if there is none within five years."""
        if self.every_s:
            return after.replace(microsecond=0) + timedelta(seconds=self.every_s)
        local = (after.astimezone(self.zone) + timedelta(minutes=1)).replace(second=0, microsecond=0, tzinfo=None)
        last_year = local.year + _YEARS_AHEAD
        while local.year <= last_year:
            if local.month not in self.months:
                local = (local.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            elif not self._day_fits(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes:
                local += timedelta(minutes=1)
            else:
                found = local.replace(tzinfo=self.zone).astimezone(UTC)
                # A local time that a clock change skips does not exist, and comes back as another one.
                if found.astimezone(self.zone).replace(tzinfo=None) == local and found > after:
                    return found
                local += timedelta(minutes=1)
        return None

    def _day_fits(self, local: datetime) -> bool:
        day = local.day in self.days
        weekday = local.isoweekday() % 7 in self.weekdays
        return day and weekday if self.any_day or self.any_weekday else day or weekday


def parse_schedule(text: str, zone: tzinfo = UTC) -> Schedule:
    """Read a cron expression.

    Raises
    ------
    ValueError
        Saying what is wrong.
    """
    text = text.strip()
    if text.startswith("@every "):
        return Schedule(every_s=max(1, _seconds(text.removeprefix("@every "))), zone=zone)
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: {parts}")
    minutes, hours, days, months, weekdays = (_field(p, *f) for p, f in zip(parts, _FIELDS, strict=True))
    any_day, any_weekday = (part[0] in "*?" for part in (parts[2], parts[4]))
    return Schedule(minutes, hours, days, months, weekdays, any_day, any_weekday, zone=zone)


def _seconds(duration: str) -> int:
    """Return the whole seconds of a Go duration such as 1h30m."""
    seconds, number = 0.0, ""
    for c in duration:
        if c.isdigit() or c == ".":
            number += c
        elif c in "hms" and number:
            seconds += float(number) * {"h": 3600, "m": 60, "s": 1}[c]
            number = ""
        else:
            raise ValueError(f"failed to parse duration {duration}")
    if number or not duration:
        raise ValueError(f"failed to parse duration {duration}")
    return int(seconds)


def _field(text: str, what: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _value(start, what, low, names)
            last = _value(end, what, low, names) if dash else (high if slash else first)
        if slash and (not step.isdigit() or int(step) == 0):
            raise ValueError(f"step of {what} should be a positive number: {part}")
        if not low <= first <= last <= high:
            raise ValueError(f"{what} out of range {low}-{high}: {part}")
        values.update(range(first, last + 1, int(step) if slash else 1))
    return frozenset(values)


def _value(text: str, what: str, low: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if not text.isdigit():
        raise ValueError(f"failed to parse {what}: {text!r}")
    return int(text)
