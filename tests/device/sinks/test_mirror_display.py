"""The page on a wall for months: its rest, its themes, several people, the week by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from edgefer.errors import SettingsError
from edgefer.messages import Report
from edgefer.settings import parse
from edgefer_device.export.npm import Package
from edgefer_device.sinks.history import HistorySettings
from edgefer_device.sinks.mirror.settings import MirrorSettings
from edgefer_device.sinks.opening import SinkContext
from support.browser import CHROMEDRIVER, CHROMIUM, people, report, resize
from support.live_mirror import LiveMirror
from support.npm import unpacked
from support.scripted import RecordingSink

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not installed"
)
PATIENCE = 60.0
NOBODY, HAPPY = report(None), report("happy", 0.9)
HASTE = (
    "const patient = setTimeout;"
    "window.setTimeout = (work, wait, ...rest) =>"
    " patient(work, wait >= 15000 ? wait / 20 : wait, ...rest);"
)
"""Whatever waits for 15 s or more waits for a twentieth of that."""
AXE = Package(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)


def clock_at(moment: str) -> str:
    """Return a script that has the browser's clocks go on from a local time."""
    return (
        "{ const Real = Date; const ahead = new Real('" + moment + "') - Real.now();"
        " window.Date = class extends Real {"
        "  constructor(...given) { super(...(given.length ? given : [Real.now() + ahead])); }"
        "  static now() { return Real.now() + ahead; } }; }"
    )


@contextmanager
def before_load(browser: Chrome, *scripts: str) -> Iterator[None]:
    """Run scripts in each page before its own."""
    command = "Page.addScriptToEvaluateOnNewDocument"
    added = browser.execute_cdp_cmd(command, {"source": "".join(scripts)})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@contextmanager
def page(
    browser: Chrome, seen: Report | None, context: SinkContext | None = None, *scripts: str
) -> Iterator[LiveMirror]:
    """Open a page that sees one report again and again."""
    with (
        LiveMirror(context) as mirror,
        before_load(browser, *scripts) if scripts else nullcontext(),
        mirror.repeating(seen),
    ):
        browser.get(mirror.sink.server.url)
        wait(browser, f"document.body.dataset.state == '{state_of(seen)}'")
        yield mirror


def state_of(seen: Report | None) -> str:
    return "waiting" if seen is None else "nobody" if seen.mood is None else "mood"


def ask(browser: Chrome, script: str) -> Any:
    return browser.execute_script(f"return {script}")


def wait(browser: Chrome, script: str, wanted: object = True) -> None:
    end = time.monotonic() + PATIENCE
    while (found := ask(browser, script)) != wanted:
        assert time.monotonic() < end, f"{script}: wanted {wanted!r}, found {found!r}"
        time.sleep(0.05)  # real time: a browser cannot be told that it has passed


def style(selector: str, name: str) -> str:
    return f"getComputedStyle(document.querySelector('{selector}')).{name}"


# --- rest ----------------------------------------------------------------------------------

IDLE = "document.body.hasAttribute('data-idle')"
MOTION = "document.querySelector('#halo canvas').dataset.motion"


@pytest.mark.parametrize(("night", "clock"), [("00:00", "1"), ("23:59", "0")])
def test_nobody_there_leaves_a_mirror_with_a_clock_and_by_night_a_mirror(
    browser: Chrome, night: str, clock: str
) -> None:
    table = MirrorSettings(evening="00:00", morning=night)
    with page(browser, NOBODY, SinkContext(mirror=table), HASTE, clock_at("2026-11-30T12:00")):
        wait(browser, IDLE)
        for piece, left in (("main", "0"), ("footer", "0"), ("#date", "0"), ("header", clock)):
            wait(browser, style(piece, "opacity"), left)
        assert ask(browser, MOTION) == "resting"


def test_a_face_or_a_touch_wakes_the_page(browser: Chrome) -> None:
    with page(browser, NOBODY, None, HASTE) as mirror:
        wait(browser, IDLE)
        browser.execute_script(
            "document.body.dispatchEvent(new Event('pointerdown', {bubbles: 1}))"
        )
        assert not ask(browser, IDLE)
        wait(browser, IDLE)
    with page(browser, NOBODY, None, HASTE) as mirror:
        wait(browser, IDLE)
        with mirror.repeating(HAPPY):
            wait(browser, IDLE, False)
        wait(browser, IDLE)


def touch(browser: Chrome, selector: str) -> None:
    """Touch the middle of an element, or of where it stands, as a touch screen reports it."""
    box = ask(browser, f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    for kind, points in (("touchStart", [point]), ("touchEnd", [])):
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


PRESSES = "document.querySelector('#pause').addEventListener('click', () => window.presses++)"


def test_the_first_touch_wakes_and_presses_nothing_the_second_pauses(browser: Chrome) -> None:
    context = SinkContext()
    with page(browser, NOBODY, context, HASTE) as mirror:
        browser.execute_script(f"window.presses = 0; {PRESSES}")
        wait(browser, IDLE)
        touch(browser, "#pause")
        with mirror.repeating(HAPPY):  # it does not rest again
            wait(browser, IDLE, False)
            touch(browser, "#pause")
            wait(browser, "document.body.dataset.state", "paused")
        assert ask(browser, "window.presses") == 1
        assert context.controls.paused
        touch(browser, "#pause")
        wait(browser, "document.body.dataset.state != 'paused'")


def test_a_finger_opens_the_week_reads_an_hour_and_closes_it(
    browser: Chrome, tmp_path: Path
) -> None:
    context = with_history(tmp_path, MirrorSettings(week_at="", language="en"))
    assert context.store is not None
    context.store.add({int(time.time() // 60) - 90: {"happy": 60.0}})
    with page(browser, HAPPY, context):
        touch(browser, "#open-week")
        wait(browser, "document.querySelectorAll('#week td[title]').length", 1)
        touch(browser, "#week td[title]")
        words = "document.querySelector('#week .words').innerText"
        wait(browser, f"{words}.endsWith('happy 100 % of 1 min')")
        touch(browser, "#week > button")
        wait(browser, OPEN, False)


def test_a_page_without_a_picture_does_not_rest(browser: Chrome) -> None:
    with page(browser, None, None, HASTE):
        time.sleep(1.5)  # what it would take, in haste
        assert not ask(browser, IDLE)


def test_whoever_comes_reads_the_notice_large_for_a_moment(browser: Chrome) -> None:
    arrival = "document.body.hasAttribute('data-arrival')"
    large = "document.querySelector('#large-notice')"
    with page(browser, HAPPY):
        assert ask(browser, arrival)
        assert ask(browser, f"{large}.textContent") == ask(
            browser, "document.querySelector('#notice').textContent"
        )
        size = f"parseFloat({style('#large-notice', 'fontSize')})"
        assert ask(browser, size) >= 1.7 * ask(browser, size.replace("large-", ""))
        wait(browser, style("#large-notice", "opacity"), "1")
        wait(browser, style("#ribbon", "opacity"), "0")
    with page(browser, HAPPY, None, HASTE):
        wait(browser, arrival, False)
        wait(browser, style("#large-notice", "opacity"), "0")


def test_the_page_wanders_by_a_little(browser: Chrome) -> None:
    places = set()
    for minute in range(0, 48, 6):
        with page(browser, NOBODY, None, clock_at(f"2026-11-30T12:{minute:02}")):
            x, y, *_ = [*str(ask(browser, style("main", "translate"))).split(), "0px", "0px"]
            places.add((x, y))
            assert max(abs(float(each.removesuffix("px"))) for each in (x, y)) <= 7
    assert len(places) >= 6


# --- people --------------------------------------------------------------------------------


def test_two_people_share_the_ring_and_each_has_a_word(browser: Chrome) -> None:
    with page(browser, people("happy", "surprise")):
        words = "[...document.querySelectorAll('#detail span')].map((one) => one.textContent)"
        wait(browser, words, ["happy", "surprise"])
        assert ask(browser, "document.querySelectorAll('#detail .glyph').length") == 2
        assert ask(browser, style(".arc", "opacity")) == "0"
        sides = [ring(browser, side) for side in ("right", "left")]
        assert sides[0] != sides[1]
    with page(browser, HAPPY):
        wait(browser, "document.querySelector('#detail').textContent", "90 %")


def ring(browser: Chrome, side: str) -> str:
    """Return which channel a half of the ring has least of: yellow lacks blue, pink green."""
    return str(
        browser.execute_script(
            "const canvas = document.querySelector('#halo canvas');"
            "const { width, height } = canvas; const half = width / 2;"
            "const at = arguments[0] == 'right' ? half : 0;"
            "const { data } = canvas.getContext('2d').getImageData(at, 0, half, height);"
            "const sum = [0, 0, 0];"
            "data.forEach((level, place) => { if (place % 4 < 3) sum[place % 4] += level; });"
            "return ['red', 'green', 'blue'][sum.indexOf(Math.min(...sum))]",
            side,
        )
    )


# --- the week ------------------------------------------------------------------------------

OPEN = "document.querySelector('#week').open"


def with_history(folder: Path, table: MirrorSettings | None = None) -> SinkContext:
    history = HistorySettings(keep_days=90)
    return SinkContext(state=folder, history=history, mirror=table or MirrorSettings(week_at=""))


def test_another_program_opens_the_week_for_a_glance(browser: Chrome, tmp_path: Path) -> None:
    context = with_history(tmp_path)
    with page(browser, NOBODY, context):
        context.controls.show_week()
        wait(browser, OPEN)
    with page(browser, NOBODY, context, HASTE):
        assert not ask(browser, OPEN), "a page that was just opened was not asked"
        context.controls.show_week()
        wait(browser, OPEN)
        wait(browser, OPEN, False)
    without = SinkContext()
    with page(browser, NOBODY, without):
        without.controls.show_week()
        time.sleep(1)  # nothing is to come
        assert not ask(browser, OPEN)


@pytest.mark.parametrize(
    ("moment", "seen", "opens"),
    [
        ("2026-11-29T19:05", HAPPY, True),  # a Sunday
        ("2026-11-29T18:55", HAPPY, False),
        ("2026-11-29T19:05", NOBODY, False),
        ("2026-11-30T19:05", HAPPY, False),
    ],
)
def test_on_sunday_evening_the_week_opens_for_who_is_there(
    browser: Chrome, tmp_path: Path, moment: str, seen: Report, opens: bool
) -> None:
    context = with_history(tmp_path, MirrorSettings())
    with page(browser, seen, context, HASTE, clock_at(moment)) as mirror:
        if not opens:
            time.sleep(1)
            assert not ask(browser, OPEN)
            return
        wait(browser, OPEN)
        wait(browser, OPEN, False)
        with mirror.repeating(report("sad", 0.8)):
            time.sleep(1)
            assert not ask(browser, OPEN), "once is enough"


def test_the_week_has_a_name_and_a_glyph_for_each_hour(browser: Chrome, tmp_path: Path) -> None:
    context = with_history(tmp_path, MirrorSettings(week_at="", clock=12, language="en"))
    assert context.store is not None
    context.store.add({int(time.time() // 60) - 90: {"happy": 60.0}})
    with page(browser, NOBODY, context):
        context.controls.show_week()
        wait(browser, "document.querySelectorAll('#week td[title] .glyph').length", 1)
        name = "document.querySelector('#week table').getAttribute('aria-labelledby')"
        assert ask(browser, f"document.getElementById({name}).textContent") == "The last seven days"
        hours = ask(browser, "[...document.querySelectorAll('#week th')].map((th) => th.innerText)")
        assert [hour.replace("\u202f", " ") for hour in hours[:4]] == [
            *("12:00 AM", "6:00 AM", "12:00 PM", "6:00 PM")
        ]


# --- what is missing ----------------------------------------------------------------------


class Unreachable(RecordingSink):
    """A sink that takes reports and cannot deliver them."""

    fault: str | None = "broker localhost:1883 cannot be reached"


def test_the_page_says_what_is_missing_and_what_to_do(browser: Chrome) -> None:
    context = SinkContext(mirror=MirrorSettings(language="de"))
    broker = context.health.watch_sink("mqtt", Unreachable())
    context.health.monitor_of(broker).begin()
    context.health.monitor_of(broker).done()
    detail = "document.querySelector('#detail').textContent"
    with page(browser, None, context):
        assert ask(browser, detail) == (
            "Warte auf die Kamera: Steckt ihr Kabel?"
            " Auf diesem Gerät sagt “edgefer doctor”, was fehlt."
        )
        trouble = "document.querySelector('#trouble').innerText"
        wait(browser, trouble, "Keine Antwort von mqtt: Ist das Netzwerk da?")
        broker.fault = None
        wait(browser, "document.querySelector('#trouble').hidden")
    wait(browser, "document.body.dataset.state", "lost")
    assert "sudo systemctl status edgefer" in ask(browser, detail)


# --- settings ------------------------------------------------------------------------------


def test_each_theme_has_its_ground_and_its_ink(browser: Chrome) -> None:
    found = {}
    for theme in ("dark", "light", "contrast"):
        table = MirrorSettings(theme=theme)
        with page(browser, HAPPY, SinkContext(mirror=table)):
            found[theme] = [
                ask(browser, style("body", "backgroundColor")),
                ask(browser, style("#clock", "color")),
                ask(browser, style("#notice", "color")),
            ]
    black, white = "rgb(0, 0, 0)", "rgb(255, 255, 255)"
    assert found["dark"] == [black, white, "rgba(255, 255, 255, 0.5)"]
    assert found["light"] == [white, black, "rgba(0, 0, 0, 0.64)"]
    assert found["contrast"] == [black, white, white]


def test_text_is_as_large_and_the_clock_and_the_motion_as_configured(browser: Chrome) -> None:
    size = f"parseFloat({style('#date', 'fontSize')})"
    moving = {"name": "prefers-reduced-motion", "value": "no-preference"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [moving]})
    with page(browser, HAPPY, None, clock_at("2026-11-30T15:04")):
        usual = ask(browser, size)
        assert ask(browser, "document.querySelector('#clock').textContent") == "15:04"
        assert ask(browser, MOTION) == "breathing"
    table = MirrorSettings(text_size=1.5, clock=12, motion=False, language="en")
    with page(browser, HAPPY, SinkContext(mirror=table), clock_at("2026-11-30T15:04")):
        assert ask(browser, size) == pytest.approx(1.5 * usual)
        clock = ask(browser, "document.querySelector('#clock').textContent")
        assert clock.replace("\u202f", " ") == "3:04 PM"
        assert ask(browser, MOTION) == "still"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("wrong", ["sunday 19:00", "sun", "19:00", "sun 25:00"])
def test_a_moment_of_the_week_that_cannot_be_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match="week_at must be a day and time such as sun 19:00"):
        parse({"week_at": wrong}, MirrorSettings, "a.toml")


# --- accessibility -------------------------------------------------------------------------


def shown_week(browser: Chrome, context: SinkContext) -> None:
    context.controls.show_week()
    wait(browser, "document.querySelectorAll('#week tr').length", 8)


@pytest.mark.parametrize(("theme", "is_light"), [("dark", False), ("light", True)])
def test_an_hour_without_a_mood_is_near_the_ground(
    browser: Chrome, tmp_path: Path, theme: str, is_light: bool
) -> None:
    table = MirrorSettings(theme=theme, week_at="", motion=False)  # type: ignore[arg-type]
    context = with_history(tmp_path, table)
    assert context.store is not None
    context.store.add({int(time.time() // 60) - 90: {"happy": 60.0}})
    with page(browser, NOBODY, context):
        shown_week(browser, context)
        cell = "document.querySelector('#week tr:nth-child(3) td')"
        colour = ask(browser, f"getComputedStyle({cell}).backgroundColor")
    red = float(re.findall(r"[\d.]+", colour)[0]) / (1 if colour.startswith("color(") else 255)
    assert red > 0.9 if is_light else red < 0.1, colour


@pytest.mark.parametrize("theme", ["dark", "light", "contrast"])
def test_axe_finds_no_violation(browser: Chrome, tmp_path: Path, theme: str) -> None:
    table = MirrorSettings(theme=theme, week_at="", motion=False)  # type: ignore[arg-type]
    context = with_history(tmp_path, table)
    assert context.store is not None
    now = int(time.time() // 60)
    moods = ("neutral", "happy", "sad", "surprise", "angry", "fear", "disgust", "contempt")
    context.store.add({now - 60 * hour: {moods[hour % 8]: 60.0} for hour in range(40)})
    axe = (unpacked(AXE) / "axe.min.js").read_text("utf-8")
    steps: list[tuple[Report | None, Callable[[], None]]] = [
        (HAPPY, lambda: None),
        (people("fear", "disgust"), lambda: None),
        (NOBODY, lambda: None),
        (None, lambda: None),
        (HAPPY, lambda: shown_week(browser, context)),
        (None, context.controls.pause),
    ]
    for seen, act in steps:
        with page(browser, seen, context):
            act()
            browser.execute_script(axe)
            found = browser.execute_async_script(
                "axe.run().then(({ violations }) => arguments[0]("
                "violations.map(({ id, nodes }) => [id, nodes.map((one) => one.html + ' '"
                " + one.failureSummary)])))"
            )
            assert found == []
    context.controls.resume()


@pytest.mark.parametrize("farthest", ["12:12", "12:36"])  # down, up
def test_at_the_largest_text_everything_fits(browser: Chrome, farthest: str) -> None:
    table = MirrorSettings(text_size=1.6, clock=12)
    sizes = [(320, 568), (800, 480), (1080, 1920), (1920, 1080)]
    moment = clock_at(f"2026-11-30T{farthest}")
    for size, seen in product(sizes, [people("contempt", "surprise"), None]):
        resize(browser, *size)
        with page(browser, seen, SinkContext(mirror=table), moment):
            outside = (
                "['#clock', '#date', '#halo', '#mood', '#detail', '#ribbon', '#notice', '#pause']"
                ".filter((name) => { const box = document.querySelector(name)"
                ".getBoundingClientRect(); return box.left < 0 || box.right > innerWidth"
                " || box.top < 0 || box.bottom > innerHeight; })"
            )
            wait(browser, outside, [])  # once the font is there
