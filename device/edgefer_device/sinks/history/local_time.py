"""Minutes since 1970, as the history counts them, and the days of the people who look at it.

A zone of None is the machine's own, with the offset that it had on each day.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta, tzinfo


def local(minute: int, zone: tzinfo | None = None) -> datetime:
    """Return the local time of a minute since 1970."""
    return datetime.fromtimestamp(60 * minute, zone)


def first_minute(now: float, days: int, zone: tzinfo | None = None) -> int:
    """Return the minute with which the last `days` days began, today among them.

    `now` is in seconds since 1970.
    """
    today = datetime.fromtimestamp(now, zone).date()
    first = datetime.combine(today - timedelta(days=days - 1), time.min, zone)
    return int(first.timestamp() // 60)
