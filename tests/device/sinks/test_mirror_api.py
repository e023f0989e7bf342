"""`/api/state`: what other programs read, once or with each change, and whom it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from edgefer.messages import Report
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.sinks.opening import SinkContext
from edgefer_device.web.access import Token
from support.browser import report
from support.live_mirror import mirror_sink

T = TypeVar("T")
PATIENCE = 60.0
PROXIED = {"X-Forwarded-For": "192.0.2.7"}
NOBODY = {
    "mood": None,
    "confidence": None,
    "reason": None,
    "faces": 0,
    "paused": False,
    "problem": None,
    "version": 1,
}


def run(story: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(story, PATIENCE))


def test_the_state_is_read_once() -> None:
    controls = Controls()

    async def story() -> list[dict[str, Any]]:
        async with mirror_sink(SinkContext(controls=controls)) as sink, ClientSession() as session:

            async def read() -> dict[str, Any]:
                async with session.get(sink.server.url + "api/state") as answer:
                    assert answer.content_type == "application/json"
                    state: dict[str, Any] = await answer.json()
                    return state

            states = [await read()]
            for shown in (report("happy", 0.8612), report(None)):
                await sink.publish(shown)
                states.append(await read())
            controls.pause()
            return [*states, await read()]

    assert run(story()) == [
        {**NOBODY, "problem": "camera"},
        {**NOBODY, "mood": "happy", "confidence": 0.86, "faces": 1},
        NOBODY,
        {**NOBODY, "paused": True},
    ]


def test_each_change_is_told_and_an_unchanged_state_is_not() -> None:
    async def story() -> list[Any]:
        async with (
            mirror_sink() as sink,
            ClientSession() as session,
            session.ws_connect(sink.server.url + "api/state?version=1") as socket,
        ):
            heard = [json.loads(await socket.receive_str())["problem"]]
            for mood in ("happy", "happy", "sad"):
                await sink.publish(report(mood, 0.7))
                await asyncio.sleep(0.6)
            await sink.publish(
                Report(time=0, frame=0, faces=(), mood=None, confidence=None, problem="no frame")
            )
            heard += [json.loads(await socket.receive_str())["mood"] for _ in range(2)]
            # Reports have stopped: the last mood no longer stands for now.
            heard.append(json.loads(await socket.receive_str())["problem"])
            return heard

    assert run(story()) == ["camera", "happy", "sad", "camera"]


def test_what_a_listener_sends_changes_nothing() -> None:
    controls = Controls()

    async def story() -> None:
        async with (
            mirror_sink(SinkContext(controls=controls)) as sink,
            ClientSession() as session,
            session.ws_connect(sink.server.url + "api/state") as socket,
        ):
            await socket.send_json({"command": "pause"})
            await sink.publish(report("happy", 0.7))
            while json.loads(await socket.receive_str())["mood"] != "happy":
                pass

    run(story())
    assert not controls.paused


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guessed-and-wrong-token"}])
def test_another_machine_needs_the_token(tmp_path: Path, headers: dict[str, str]) -> None:
    async def story() -> tuple[int, str, int]:
        async with mirror_sink(SinkContext(state=tmp_path)) as sink:
            url = sink.server.url + "api/state"
            right = {"Authorization": f"Bearer {Token.load(tmp_path).secret}"}
            async with ClientSession(headers=PROXIED) as session:
                with pytest.raises(WSServerHandshakeError, match="401"):
                    await session.ws_connect(url, headers=headers)
                async with session.ws_connect(url, headers=right) as socket:
                    assert json.loads(await socket.receive_str())["version"] == 1
                async with session.get(url, headers=headers) as refused:
                    text = await refused.text()
                async with session.get(url, headers=right) as answer:
                    return refused.status, text, answer.status

    status, text, allowed = run(story())
    assert (status, allowed) == (401, 200)
    wrong = "this token is not the page's; " if headers else "this page needs a token; "
    assert text == wrong + "run `edgefer status` on its own machine for the address with it\n"


@pytest.mark.parametrize("asked", ["2", "0", "", "one", "%ff"])
def test_another_version_is_refused_in_words(asked: str) -> None:
    async def story() -> tuple[int, str]:
        async with mirror_sink() as sink, ClientSession() as session:
            url = f"{sink.server.url}api/state?version={asked}"
            with pytest.raises(WSServerHandshakeError, match="400"):
                await session.ws_connect(url)
            async with session.get(url) as answer:
                return answer.status, await answer.text()

    status, text = run(story())
    assert status == 400
    assert text.startswith("this daemon speaks version 1 of /api/state, not '")
    assert text.endswith("': update the older of the two\n")
