"""The last seven days by the hour: what the mirror's weekly view shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta, tzinfo

import msgspec
from aiohttp import web

from edgefer.errors import HistoryError
from edgefer.messages import to_json
from edgefer_device.sinks.history.store import HistoryStore, MoodSpan, first_minute, local, totals

DAYS = 7
HOURS = 24
QUARTER = 15
"""Minutes; no time zone's offset is finer."""


class Hour(msgspec.Struct, frozen=True):
    """What was seen in one hour of local time."""

    mood: str
    """The mood that was seen longest."""
    share: float
    """Its share of the time with a face, 0..1."""
    minutes: float
    """The time with a face."""


class Day(msgspec.Struct, frozen=True):
    """One day of local time."""

    date: date
    hours: tuple[Hour | None, ...]
    """24, from midnight; None where no face was seen."""


class Week(msgspec.Struct, frozen=True):
    """The JSON of `/week.json`."""

    days: tuple[Day, ...]
    """Seven, the last is today."""
    minutes: dict[str, float]
    """For how long each mood was seen in them."""


def week(spans: Sequence[MoodSpan], now: float, zone: tzinfo | None = None) -> Week:
    """Return the seven days up to `now` (seconds since 1970) out of quarters of an hour."""
    today = local(int(now // 60), zone).date()
    # A clock that jumped and came back may have left entries in the future.
    spans = [span for span in spans if local(span.minute, zone).date() <= today]
    hours = totals(spans, lambda moment: (moment.date(), moment.hour), zone)
    moods = totals(spans, lambda _: None).get(None, {})
    days = []
    for ago in reversed(range(DAYS)):
        day = today - timedelta(days=ago)
        days.append(Day(day, tuple(_hour(hours.get((day, hour))) for hour in range(HOURS))))
    return Week(tuple(days), {mood: seconds / 60 for mood, seconds in moods.items()})


def _hour(moods: dict[str, float] | None) -> Hour | None:
    if not moods or not (total := sum(moods.values())):
        return None
    longest = max(moods, key=lambda mood: moods[mood])
    return Hour(longest, moods[longest] / total, total / 60)


def week_routes(
    store: HistoryStore, now: Callable[[], float] = time.time, zone: tzinfo | None = None
) -> list[web.RouteDef]:
    """Return the route of `/week.json`."""

    async def serve(_: web.Request) -> web.Response:
        moment = now()
        try:
            spans = await asyncio.to_thread(store.spans, QUARTER, first_minute(moment, DAYS, zone))
        except HistoryError as exc:
            raise web.HTTPServiceUnavailable(text=f"{exc}\n") from exc
        text = to_json(week(spans, moment, zone))
        return web.Response(text=text, content_type="application/json")

    return [web.get("/week.json", serve)]
