"""The mirror page: what the server tells, whom it refuses, and what Chromium then shows."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec
import pytest
from aiohttp import (
    ClientSession,
    ClientWebSocketResponse,
    CookieJar,
    WSCloseCode,
    WSServerHandshakeError,
)
from selenium.webdriver import Chrome

from edgefer.errors import ServerError, SettingsError, StateError
from edgefer.labels import FERPLUS
from edgefer.messages import to_json
from edgefer_device.pipeline.control_state import Controls, ControlState
from edgefer_device.sinks.mirror.messages import Moment, Timeline, View
from edgefer_device.sinks.mirror.open_page import MESSAGES_A_SECOND
from edgefer_device.sinks.mirror.settings import MirrorSettings
from edgefer_device.sinks.mirror.sink import MirrorSink
from edgefer_device.sinks.opening import SinkContext
from edgefer_device.web.access import Token, is_loopback, is_own_name, is_same_origin
from edgefer_device.web.server import WebServer
from support.browser import CHROMEDRIVER, CHROMIUM, report, resize
from support.full_disk import no_room
from support.live_mirror import LiveMirror, mirror_sink

T = TypeVar("T")
# Generic only since aiohttp 3.14, so the parameter is for the type checker alone.
Page: TypeAlias = "ClientWebSocketResponse[bool]"
PATIENCE = 60.0
"""Seconds that a test waits for what should come within one: CI machines are busy."""

needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not installed"
)


def run(story: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(story, PATIENCE))


@asynccontextmanager
async def page_of(sink: MirrorSink) -> AsyncIterator[Page]:
    """Connect as a page does."""
    async with ClientSession() as session, session.ws_connect(sink.server.url + "ws") as page:
        yield page


async def heard(page: Page, kind: str) -> dict[str, Any]:
    """Return the page's next message of a kind."""
    while True:
        message: dict[str, Any] = await page.receive_json()
        if message["type"] == kind:
            return message


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.02)


# --- what is told ------------------------------------------------------------


def test_history_forgets_what_left_its_span() -> None:
    history = Timeline(longest=10)
    for second in range(30):
        history.add(Moment(at=float(second), mood="happy", confidence=0.5))
    assert [moment.at for moment in history] == [float(at) for at in range(19, 30)]


def test_the_ribbon_grows_from_minutes_to_hours_and_never_holds_many_moments() -> None:
    history = Timeline(longest=3 * 3600)
    spans, most = [history.span], 0
    for second in range(5 * 3600):
        history.add(Moment(at=float(second), mood="happy", confidence=0.5))
        spans += [history.span] if history.span != spans[-1] else []
        most = max(most, len(history))
    assert spans == [600, 1200, 2400, 4800, 9600, 10800]
    assert most <= 810, "600, three quarters of a step apart at the least"
    ages = [5 * 3600 - 1 - moment.at for moment in history]
    assert ages[0] == pytest.approx(3 * 3600, abs=20)
    assert ages[-1] < 20


def test_a_view_is_compact_and_holds_no_box_and_no_picture() -> None:
    told = json.loads(to_json(View.of(report("happy", 0.876))))
    assert told == {"type": "view", "mood": "happy", "confidence": 0.88, "faces": 1}


def test_late_page_gets_the_present_and_the_past() -> None:
    async def story() -> dict[str, Any]:
        async with mirror_sink() as sink:
            await sink.publish(report("happy", 0.9))
            await until(lambda: len(sink.timeline) > 0)
            async with page_of(sink) as page:
                return await heard(page, "hello")

    hello = run(story())
    assert hello["view"] == {"type": "view", "mood": "happy", "confidence": 0.9, "faces": 1}
    assert [moment[1:] for moment in hello["history"]] == [["happy", 0.9]]
    assert hello["span"] == 600
    assert hello["history"][0][0] <= hello["now"]


def test_a_changed_mood_is_told_and_an_unchanged_one_is_not_told_again() -> None:
    async def story() -> list[dict[str, Any]]:
        async with mirror_sink() as sink, page_of(sink) as page:
            await heard(page, "hello")
            await sink.publish(report("sad", 0.6))
            messages = [await heard(page, "view")]
            await sink.publish(report("sad", 0.6))
            messages += [await page.receive_json()]
            await sink.publish(report(None))
            return [*messages, await heard(page, "view")]

    first, *between, last = run(story())
    assert first["mood"] == "sad"
    assert {message["type"] for message in between} == {"tick"}
    assert (last["mood"], last["confidence"], last["faces"]) == (None, None, 0)


def test_a_page_hears_at_most_five_messages_a_second() -> None:
    async def story() -> int:
        async with mirror_sink() as sink, page_of(sink) as page:
            await heard(page, "tick")
            camera = asyncio.create_task(changing(sink))
            count = 0
            while (await page.receive_json())["type"] != "tick":
                count += 1
            camera.cancel()
            return count

    assert 2 <= run(story()) <= 4  # and the tick itself


async def changing(sink: MirrorSink) -> None:
    """Publish a hundred different reports a second."""
    for frame in itertools.count():
        await sink.publish(report("happy", frame % 100 / 100))
        await asyncio.sleep(0.01)


def test_when_reports_stop_the_last_mood_no_longer_stands_for_now() -> None:
    now = 100.0

    async def story() -> dict[str, Any]:
        nonlocal now
        async with MirrorSink(WebServer("page", "127.0.0.1", 0), clock=lambda: now) as sink:
            await sink.publish(report("happy", 0.9))
            now += 60
            async with page_of(sink) as page:
                return await heard(page, "hello")

    assert run(story())["view"] is None


def test_a_page_can_pause_and_every_page_hears_of_it() -> None:
    context = SinkContext()

    async def story() -> None:
        async with mirror_sink(context) as sink:
            await sink.publish(report("happy", 0.9))
            async with page_of(sink) as one, page_of(sink) as other:
                assert (await heard(other, "hello"))["view"]["mood"] == "happy"
                for noise in ("{", '{"command": "sing"}', "[]"):
                    await one.send_str(noise)
                await one.send_json({"command": "pause"})
                assert (await heard(other, "paused"))["paused"] is True
                assert context.controls.paused
            async with page_of(sink) as late:
                hello = await heard(late, "hello")
                assert (hello["paused"], hello["view"]) == (True, None)
                await late.send_json({"command": "resume"})
                assert (await heard(late, "paused"))["paused"] is False

    run(story())


def test_while_paused_no_moment_is_added_to_the_ribbon() -> None:
    context = SinkContext()
    context.controls.pause()

    async def story() -> int:
        async with mirror_sink(context) as sink, page_of(sink) as page:
            await sink.publish(report("happy", 0.9))
            for _ in range(2):
                await heard(page, "tick")
            return len(sink.timeline)

    assert run(story()) == 0


def test_the_page_is_told_in_the_language_that_it_asks_for() -> None:
    async def told(accepted: str, **settings: str) -> str:
        context = SinkContext(mirror=MirrorSettings(**settings))  # type: ignore[arg-type]
        headers = {"Accept-Language": accepted}
        async with (
            mirror_sink(context) as sink,
            ClientSession() as session,
            session.get(sink.server.url + "texts.json", headers=headers) as answer,
        ):
            return str((await answer.json())["moods"]["happy"])

    async def story() -> list[str]:
        return [await told("de-CH,en;q=0.5"), await told("de", language="zh"), await told("fr")]

    assert run(story()) == ["fröhlich", "高兴", "happy"]


# --- slow and strange clients ------------------------------------------------


def test_a_page_that_reads_nothing_blocks_nobody_and_is_dropped() -> None:
    async def story() -> None:
        sink = MirrorSink(WebServer("page", "127.0.0.1", 0))
        sink.heartbeat = 0.2
        async with sink:
            with deaf_page(sink.server.port):
                await until(lambda: len(sink.pages) == 1)
                async with page_of(sink) as page:
                    await sink.publish(report("surprise", 0.8))
                    assert (await heard(page, "view"))["mood"] == "surprise"
                    await until(lambda: len(sink.pages) == 1)

    run(story())


@contextmanager
def deaf_page(port: int) -> Iterator[None]:
    """Open a WebSocket by hand and never read from it, so that no ping is answered."""
    request = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request.encode())
        yield


def test_a_burst_of_commands_closes_its_page_and_holds_nobody_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    controls = Controls()
    changes: list[ControlState] = []

    def change(state: ControlState) -> None:
        changes.append(state)
        time.sleep(0.002)  # as long as a file takes

    controls.listen(change)

    async def story() -> tuple[float, int | None]:
        async with mirror_sink(SinkContext(controls=controls)) as sink, page_of(sink) as page:
            for command in 2500 * ("pause", "resume"):
                with suppress(ConnectionError):
                    await page.send_json({"command": command})
            began = time.monotonic()
            async with ClientSession() as session, session.get(sink.server.url) as answer:
                assert answer.status == 200
            took = time.monotonic() - began
            while not page.closed:
                await page.receive()
            return took, page.close_code

    took, code = run(story())
    assert (took < 2.0, code) == (True, WSCloseCode.POLICY_VIOLATION)
    assert len(changes) <= 2 * MESSAGES_A_SECOND
    assert len(caplog.records) == 1


def test_a_page_of_another_origin_is_refused() -> None:
    async def story() -> int:
        async with mirror_sink() as sink, ClientSession() as session:
            try:
                await session.ws_connect(sink.server.url + "ws", origin="http://evil.example")
            except WSServerHandshakeError as exc:
                return exc.status
        return 0

    assert run(story()) == 403


def test_a_foreign_name_that_points_here_is_refused() -> None:
    async def story() -> int:
        async with mirror_sink() as sink, ClientSession() as session:
            rebound = {"Host": f"evil.example:{sink.server.port}"}
            async with session.get(sink.server.url, headers=rebound) as answer:
                return answer.status

    assert run(story()) == 421


@pytest.mark.parametrize(
    ("authority", "bound", "own"),
    [
        ("127.0.0.1:8137", "127.0.0.1", True),
        ("localhost:8137", "127.0.0.1", True),
        ("[::1]:8137", "::1", True),
        ("192.168.1.7:8137", "0.0.0.0", True),
        ("mirror.lan", "mirror.lan", True),
        (f"{socket.gethostname()}.local:8137", "0.0.0.0", True),
        ("evil.example", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
    ],
)
def test_own_names(authority: str, bound: str, own: bool) -> None:
    assert is_own_name(authority, bound) is own


def test_same_origin() -> None:
    assert is_same_origin(None, "127.0.0.1:8137")
    assert is_same_origin("http://127.0.0.1:8137", "127.0.0.1:8137")
    assert not is_same_origin("http://127.0.0.1:9000", "127.0.0.1:8137")
    assert not is_same_origin("null", "127.0.0.1:8137")


# --- address -----------------------------------------------------------------


def test_port_in_use_is_one_clear_line() -> None:
    async def story() -> str:
        async with mirror_sink() as first:
            with pytest.raises(ServerError) as caught:
                async with mirror_sink(place=f"127.0.0.1:{first.server.port}"):
                    pass
            return str(caught.value)

    line = run(story())
    assert "\n" not in line
    assert "Address already in use" in line
    assert "choose another port" in line


def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"port must be 0\.\.65535, got 70000"):
        WebServer("mirror page", "127.0.0.1", 70000)


def test_host_that_is_not_ours_is_one_clear_line() -> None:
    async def story() -> None:
        async with mirror_sink(place="192.0.2.1:8137"):  # an address kept for documents (RFC 5737)
            pass

    with pytest.raises(ServerError, match=r"192\.0\.2\.1 port 8137: (Cannot|could not bind)"):
        run(story())


def test_the_page_is_announced_once_it_can_be_opened(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "edgefer_device")

    async def story() -> str:
        async with mirror_sink() as sink:
            return sink.server.url

    url = run(story())
    assert caplog.messages == [f"mirror page: {url}"]


def test_an_open_address_asks_others_for_a_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgefer_device")

    context = SinkContext(state=tmp_path)
    elsewhere = {"X-Forwarded-For": "192.0.2.7"}

    async def story() -> None:
        async with mirror_sink(context, "0.0.0.0:0") as sink:
            secret = (tmp_path / "page-token").read_text().strip()
            here = f"http://127.0.0.1:{sink.server.port}/"
            assert sink.address is not None
            assert sink.address.endswith(f":{sink.server.port}/?token={secret}")

            async def status(session: ClientSession, path: str, **headers: str) -> int:
                async with session.get(here + path, headers={**elsewhere, **headers}) as answer:
                    return answer.status

            async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
                for path in ("", "mirror.js", "healthz", "week.json", "?token=guessed"):
                    assert await status(session, path) == 401
                with pytest.raises(WSServerHandshakeError, match="401"):
                    await session.ws_connect(here + "ws", headers=elsewhere)
                # The token is taken out of the address, and a cookie stands for it from then on.
                async with session.get(f"{here}?token={secret}", headers=elsewhere) as answer:
                    assert (answer.status, str(answer.url)) == (200, here)
                    left = answer.history[0].headers["Set-Cookie"]
                assert "HttpOnly" in left
                assert "SameSite=Strict" in left
                assert [await status(session, path) for path in ("", "mirror.js")] == [200, 200]
                async with session.ws_connect(here + "ws", headers=elsewhere) as page:
                    assert (await heard(page, "hello"))["paused"] is False
            async with ClientSession() as session:
                assert await status(session, "metrics", Authorization=f"Bearer {secret}") == 200
                async with session.get(here) as answer:  # at the machine itself
                    assert answer.status == 200

    run(story())
    announced, where = caplog.messages
    assert announced.startswith(f"mirror page: http://{socket.gethostname()}:")
    assert where.startswith(f"other machines need the token in {tmp_path / 'page-token'};")
    assert (tmp_path / "page-token").read_text().strip() not in announced + where


def test_the_token_is_kept_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    secret = Token.load(tmp_path / "state").secret
    assert len(secret) == 32
    assert Token.load(tmp_path / "state").secret == secret
    assert (tmp_path / "state" / "page-token").stat().st_mode & 0o777 == 0o600
    assert Token.load(tmp_path / "other").secret != secret


@pytest.mark.parametrize("rest", ["", "1234\n"])
def test_what_a_full_disk_left_of_a_token_is_made_anew(tmp_path: Path, rest: str) -> None:
    (tmp_path / "page-token").write_text(rest)
    secret = Token.load(tmp_path).secret
    assert len(secret) == 32
    assert Token.load(tmp_path).secret == secret


def test_a_full_disk_leaves_no_token_behind(tmp_path: Path) -> None:
    with no_room(), pytest.raises(StateError, match="cannot store the page's token: File too"):
        Token.load(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(Token.load(tmp_path).secret) == 32


def test_a_token_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot store the page's token: File exists"):
        Token.load(tmp_path / "file")


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.9.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.7", "mirror.lan")))


def test_leaving_twice_is_fine_and_frees_the_port() -> None:
    async def story() -> None:
        async with mirror_sink() as sink:
            port = sink.server.port
        await sink.__aexit__(None, None, None)
        async with mirror_sink(place=f"127.0.0.1:{port}"):
            pass

    run(story())


# --- files -------------------------------------------------------------------


def test_every_answer_carries_the_policy() -> None:
    async def story() -> list[tuple[int, str]]:
        async with mirror_sink() as sink, ClientSession() as session:
            answers = []
            for path in ("", "mirror.js", "nothing-here"):
                async with session.get(sink.server.url + path) as answer:
                    policy = answer.headers.get("Content-Security-Policy", "")
                    answers.append((answer.status, policy))
            return answers

    answers = run(story())
    assert [status for status, _ in answers] == [200, 200, 404]
    assert all(policy.startswith("default-src 'none'; ") for _, policy in answers)


# --- Chromium ----------------------------------------------------------------


def read(browser: Chrome, selector: str) -> str:
    text = browser.execute_script(
        "return document.querySelector(arguments[0]).textContent", selector
    )
    return str(text)


def state(browser: Chrome) -> str:
    return str(browser.execute_script("return document.body.dataset.state"))


def wait_for(browser: Chrome, words: str, publish: Callable[[], None] = lambda: None) -> None:
    """Wait for the page to say `words`, publishing again and again as a pipeline does."""

    def says() -> str:
        publish()
        return read(browser, "#mood")

    wait_until(says, words)


def wait_until(get: Callable[[], str], wanted: str) -> None:
    end = time.monotonic() + PATIENCE
    while (found := get()) != wanted:
        assert time.monotonic() < end, f"wanted {wanted!r}, found {found!r}"
        time.sleep(0.03)  # real time: a browser cannot be told that it has passed


@needs_chromium
def test_page_shows_each_mood_and_its_confidence(browser: Chrome) -> None:
    with LiveMirror() as mirror:
        browser.get(mirror.sink.server.url)
        wait_for(browser, "no picture")
        colours = set()
        for place, mood in enumerate(FERPLUS):
            mirror.publish(mood, 0.5 + place / 20)
            wait_for(browser, mood)
            assert state(browser) == "mood"
            assert read(browser, "#detail") == f"{50 + 5 * place} %"
            colours.add(
                browser.execute_script("return document.body.style.getPropertyValue('--near')")
            )
        assert len(colours) == len(FERPLUS)


@needs_chromium
def test_page_says_when_it_is_not_sure_and_when_no_one_is_there(browser: Chrome) -> None:
    with LiveMirror() as mirror:
        browser.get(mirror.sink.server.url)
        wait_for(browser, "not sure", lambda: mirror.publish("unknown", 0.3))
        assert (state(browser), read(browser, "#detail")) == ("unsure", "")
        wait_for(browser, "no one in view", lambda: mirror.publish(None))
        assert (state(browser), read(browser, "#detail")) == ("nobody", "")


@needs_chromium
def test_page_says_why_it_is_not_sure(browser: Chrome) -> None:
    with LiveMirror() as mirror:
        browser.get(mirror.sink.server.url)
        dark = msgspec.structs.replace(report("unknown", 0.3), reason="dark")
        wait_for(browser, "not sure", lambda: mirror.publish_report(dark))
        assert read(browser, "#detail") == "too dark: more light on the face"


@needs_chromium
def test_the_camera_is_paused_by_button_and_by_key(browser: Chrome) -> None:
    context = SinkContext()
    with LiveMirror(context) as mirror:
        browser.get(mirror.sink.server.url)
        wait_for(browser, "happy", lambda: mirror.publish("happy", 0.9))
        assert read(browser, "#pause") == "Pause"
        browser.execute_script("document.querySelector('#pause').click()")
        wait_for(browser, "paused", lambda: mirror.publish("happy", 0.9))
        assert context.controls.paused
        assert (state(browser), read(browser, "#pause")) == ("paused", "Resume")
        assert read(browser, "#detail") == "the camera is closed"
        assert read(browser, "#notice") == "Nothing is read now: the camera is closed."
        browser.find_element("css selector", "body").send_keys("p")
        wait_for(browser, "happy", lambda: mirror.publish("happy", 0.9))
        assert not context.controls.paused
        assert "No picture leaves this device" in read(browser, "#notice")


@needs_chromium
def test_a_pause_outlives_the_server_on_the_page(browser: Chrome) -> None:
    context = SinkContext()
    with LiveMirror(context) as mirror:
        browser.get(mirror.sink.server.url)
        context.controls.pause()
        wait_for(browser, "paused")
    wait_for(browser, "connection lost")
    assert browser.execute_script("return document.querySelector('#pause').hidden")
    with LiveMirror(context, port=mirror.sink.server.port):
        wait_for(browser, "paused")


@needs_chromium
@pytest.mark.parametrize(
    ("language", "word", "button", "tag"),
    [("de", "fröhlich", "Pause", "de"), ("es", "alegría", "Pausar", "es"),
     ("zh", "高兴", "暂停", "zh-Hans")],
)  # fmt: skip
def test_the_page_speaks_the_language_that_is_configured(
    browser: Chrome, language: str, word: str, button: str, tag: str
) -> None:
    context = SinkContext(mirror=MirrorSettings(language=language, name="Anna"))
    with LiveMirror(context) as mirror:
        browser.get(mirror.sink.server.url)
        wait_for(browser, word, lambda: mirror.publish("happy", 0.9))
        assert read(browser, "#pause") == button
        assert browser.execute_script("return document.documentElement.lang") == tag
        assert "Anna" in read(browser, "#greeting")
        assert "Expressions" not in read(browser, "#notice")


@needs_chromium
def test_whoever_comes_is_greeted_unless_that_is_off(browser: Chrome) -> None:
    def shown() -> bool:
        script = "return document.body.hasAttribute('data-arrival')"
        return bool(browser.execute_script(script)) and "Anna" in read(browser, "#greeting")

    for wanted in (True, False):
        context = SinkContext(mirror=MirrorSettings(greeting=wanted, name="Anna"))
        with LiveMirror(context) as mirror:
            browser.get(mirror.sink.server.url)
            wait_for(browser, "no one in view", lambda: mirror.publish(None))
            assert not shown()
            wait_for(browser, "happy", lambda: mirror.publish("happy", 0.9))
            assert shown() == wanted


@needs_chromium
def test_the_night_is_when_it_is_configured_to_be(browser: Chrome) -> None:
    for evening, morning, night in (("00:00", "23:59", True), ("00:00", "00:00", False)):
        settings = MirrorSettings(evening=evening, morning=morning)
        with LiveMirror(SinkContext(mirror=settings)) as mirror:
            browser.get(mirror.sink.server.url)
            wait_for(browser, "no picture")
            script = "return document.body.hasAttribute('data-night')"
            assert browser.execute_script(script) == night


@needs_chromium
def test_page_survives_a_restart_of_the_server(browser: Chrome) -> None:
    with LiveMirror() as mirror:
        browser.get(mirror.sink.server.url)
        wait_for(browser, "happy", lambda: mirror.publish("happy", 0.9))
    wait_for(browser, "connection lost")
    assert "sudo systemctl status edgefer" in read(browser, "#detail")
    with LiveMirror(port=mirror.sink.server.port) as again:
        wait_for(browser, "sad", lambda: again.publish("sad", 0.7))


@needs_chromium
def test_page_shows_the_notice_and_the_last_minutes(browser: Chrome) -> None:
    with LiveMirror() as mirror:
        now = time.monotonic()
        for ago in range(300, 0, -1):
            mirror.sink.timeline.add(Moment(at=now - ago, mood="happy", confidence=0.9))
        mirror.publish("happy", 0.9)
        browser.get(mirror.sink.server.url)
        wait_for(browser, "happy")
        assert read(browser, "#notice") == (
            "Expressions are read here, not feelings. No picture leaves this device."
        )
        assert read(browser, "#ribbon .names") == "happy"
        assert read(browser, "#ribbon .ticks").startswith("now")
        label = browser.execute_script(
            "return document.querySelector('#ribbon').getAttribute('aria-label')"
        )
        assert label == "The last minutes: happy 5 min"


@needs_chromium
def test_page_shows_the_last_hours(browser: Chrome) -> None:
    with LiveMirror() as mirror:
        now = time.monotonic()
        for ago in range(7000, 0, -1):
            mood = "sad" if ago > 3500 else "happy"
            mirror.sink.timeline.add(Moment(at=now - ago, mood=mood, confidence=0.9))
        mirror.publish("happy", 0.9)
        browser.get(mirror.sink.server.url)
        wait_for(browser, "happy")
        assert read(browser, "#ribbon .names") == "sadhappy"
        assert "60 min" in read(browser, "#ribbon .ticks")


@needs_chromium
def test_page_loads_its_own_files_and_the_browser_refuses_others(browser: Chrome) -> None:
    with LiveMirror() as mirror:
        browser.get(mirror.sink.server.url)
        wait_for(browser, "happy", lambda: mirror.publish("happy", 0.9))
        loaded = browser.execute_script(
            "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        )
        assert {"mirror.js", "mirror.css", "jost.woff2"} <= {url.split("/")[-1] for url in loaded}
        assert all(url.startswith(mirror.sink.server.url) for url in loaded)
        assert not any("violates" in str(line) for line in console(browser))
        refused = browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "addEventListener('securitypolicyviolation', (event) => done(event.blockedURI));"
            "fetch('http://192.0.2.1/').catch(() => {});"
        )
        assert refused == "http://192.0.2.1/"


def console(browser: Chrome) -> list[dict[str, Any]]:
    """Return what the browser's console said since the last call."""
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]  # selenium's own


@needs_chromium
def test_motion_rests_for_those_who_ask(browser: Chrome) -> None:
    def motion() -> str:
        script = "return document.querySelector('#halo canvas').dataset.motion"
        return str(browser.execute_script(script))

    with LiveMirror() as mirror:
        browser.get(mirror.sink.server.url)
        wait_for(browser, "happy", lambda: mirror.publish("happy", 0.9))
        wait_until(motion, "still")
        still = drawn(browser)
        assert drawn(browser) == still
        wait_for(browser, "sad", lambda: mirror.publish("sad", 0.9))
        assert drawn(browser) != still
        with media(browser, "prefers-reduced-motion", "no-preference"):
            wait_until(motion, "breathing")
            assert drawn(browser) != drawn(browser)  # it moves


def drawn(browser: Chrome) -> str:
    """Return the halo as it is drawn in a few frames."""
    return str(
        browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "const canvas = document.querySelector('#halo canvas');"
            "setTimeout(() => requestAnimationFrame(() => done(canvas.toDataURL())), 120);"
        )
    )


@contextmanager
def media(browser: Chrome, name: str, value: str) -> Iterator[None]:
    def tell(features: list[dict[str, str]]) -> None:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    tell([{"name": name, "value": value}])
    try:
        yield
    finally:
        tell([])


@needs_chromium
@pytest.mark.parametrize(
    "size",
    [(320, 568), (844, 390), (1080, 1920), (3840, 2160)],
    ids=lambda size: "x".join(map(str, size)),
)
def test_everything_fits_the_glass(browser: Chrome, size: tuple[int, int]) -> None:
    with LiveMirror() as mirror:
        resize(browser, *size)
        browser.get(mirror.sink.server.url)
        for mood, words in ((None, "no one in view"), ("contempt", "contempt")):
            wait_for(browser, words, partial(mirror.publish, mood, 0.8))
            assert outside(browser) == []
            assert overlapping(browser) == []


PIECES = json.dumps(
    ["#clock", "#date", "#greeting", "#halo", "#mood", "#detail", "#ribbon", "#notice", "#pause"]
)


def outside(browser: Chrome) -> list[str]:
    """Return what stands out of the window."""
    return list(
        browser.execute_script(
            f"return {PIECES}.filter((name) => {{"
            " const box = document.querySelector(name).getBoundingClientRect();"
            " return box.left < 0 || box.right > innerWidth"
            "  || box.top < 0 || box.bottom > innerHeight; })"
        )
    )


def overlapping(browser: Chrome) -> list[list[str]]:
    """Return the pairs of pieces that cover one another by more than a pixel."""
    return list(
        browser.execute_script(
            f"const boxes = {PIECES}.map((name) =>"
            " [name, document.querySelector(name).getBoundingClientRect()]);"
            "const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1"
            " || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;"
            "return boxes.flatMap(([name, box], at) => boxes.slice(at + 1)"
            " .filter(([, other]) => !apart(box, other)).map(([other]) => [name, other]));"
        )
    )
