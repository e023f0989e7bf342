"""Content: which rules are refused, when one fires, and what it then starts."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from aiohttp import ClientSession
from click.testing import CliRunner
from selenium.webdriver import Chrome

from edgefer.cli import main
from edgefer.errors import SettingsError, UnknownKey
from edgefer.messages import Report
from edgefer_device.daemon.configuration import Config, load_config
from edgefer_device.sinks.content.rule import LIBRARY, LONGEST_TEXT, Publication, Rule
from edgefer_device.sinks.content.settings import ContentSettings
from edgefer_device.sinks.content.sink import SHOWN_SECONDS, Actions, ContentSink
from edgefer_device.sinks.content.trigger import MoodMemory, RuleTrigger
from edgefer_device.sinks.message_board import Line, MessageBoard
from edgefer_device.sinks.mirror.settings import MirrorSettings, languages, load_texts
from edgefer_device.sinks.mqtt.broker import parse_broker
from edgefer_device.sinks.opening import SinkContext, open_sinks
from support.browser import CHROMEDRIVER, CHROMIUM, resize
from support.live_mirror import PATIENCE, LiveMirror, mirror_sink
from support.mosquitto import Mosquitto, free_port

MORNING = datetime(2026, 5, 17, 7, 30)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class RecordedActions(Actions):
    """Actions that are only recorded."""

    def __init__(self) -> None:
        super().__init__(None)
        self.started: list[tuple[str, ...]] = []
        self.closed = False

    def start(self, rule: Rule, mood: str, minutes: int = 0) -> None:
        self.started.append((*rule.texts, mood))

    async def close(self) -> None:
        self.closed = True


def report(mood: str | None, problem: str | None = None) -> Report:
    return Report(0.0, 0, (), mood, None, problem)


def written(folder: Path, text: str) -> Path:
    path = folder / "edgefer.toml"
    path.write_text(text)
    return path


# --- what stands in the configuration --------------------------------------------


def test_a_rule_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        sinks = ["mirror:", "mqtt://localhost/home"]
        [content]
        allow_commands = true
        [[content.rule]]
        mood = ["sad", "fear"]
        from = "18:00"
        to = "23:30"
        minutes = 2.5
        rest = 60
        text = "A walk?"
        link = "https://example.org/walk"
        mqtt = { topic = "home/scene", payload = "warm" }
        command = ["/usr/bin/mpc", "play"]
        """,
    )
    (rule,) = load_config(path).content.rule
    assert rule.moods == ("sad", "fear")
    assert (rule.begin, rule.end, rule.minutes, rule.rest) == ("18:00", "23:30", 2.5, 60)
    assert rule.mqtt == Publication("home/scene", "warm")
    assert rule.command == ("/usr/bin/mpc", "play")


def test_without_rules_there_is_none_and_commands_are_off() -> None:
    assert Config().content == ContentSettings(allow_commands=False, rule=())


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            'mood = "hapy"\ntext = "x"',
            r"\[\[content.rule\]\] 1: mood: unknown mood 'hapy'; did you mean 'happy'?",
        ),
        ('mood = ["sad", "joyful"]\ntext = "x"', "unknown mood 'joyful'; known: angry, disgust,"),
        (
            'mod = "sad"\ntext = "x"',
            r"unknown key '\[\[content.rule\]\] 1: mod'; did you mean '.* 1: mood'",
        ),
        ('mood = "sad"', "a rule must have a text, an mqtt message or a command"),
        ('text = "x"\nfrom = "25:00"', "from must be a time of day such as 06:30, got 25:00"),
        ('text = "x"\nfrom = "06:30\\n"', "from must be a time of day such as 06:30"),
        ('text = "x"\nto = "6"', "to must be a time of day such as 06:30, got 6"),
        (
            'text = "x"\nminutes = -1',
            "\\[\\[content.rule\\]\\] 1: minutes must be from 0 to 1440, got -1",
        ),
        ('text = "two\\nlines"', "text must be one line"),
        ('text = ["fine", ""]', "text must be one line"),
        ('text = "{name}"', "text knows {mood} and {minutes}, not {name}"),
        ('text = "library:jokes"', "text must be one of library:compliments, library:breathing"),
        ('text = "x"\ndays = ["sunday"]', "must be a list of fri, .*, wed, got sunday"),
        ('text = "x"\nshare = 60', "share must be from 0 to 1|share must be at least 0"),
        ('text = "x"\nlink = "javascript:alert(1)"', "link must be an http or https address"),
        ('link = "https://example.org"', "needs a text beside it"),
        ('command = ["true"]', r"\[\[content.rule\]\] 1: command is off by default"),
        (
            'mqtt = { topic = "home/#" }',
            r": \[\[content.rule\]\] 1: mqtt: topic .* without \+ and #: 'home/#'",
        ),
        (
            'mqtt = { topic = "home/x" }',
            r"\[\[content.rule\]\] 1: mqtt publishes, but no sink is a broker",
        ),
        ('mqtt = { topic = "x", retained = true }', "1: mqtt.retained'; did you mean"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_read(tmp_path: Path, rule: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("?", "\\?")) as refused:
        load_config(written(tmp_path, f"[[content.rule]]\n{rule}\n"))
    assert "\n" not in str(refused.value)


def test_a_rule_in_single_brackets_is_told_of_double_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load_config(written(tmp_path, '[content.rule]\ntext = "x"\n'))
    assert str(refused.value).endswith("content.rule must have double brackets: [[content.rule]]")


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownKey) as refused:
        load_config(written(tmp_path, '[[content.rule]]\ntext = "x"\nform = "06:00"\n'))
    assert refused.value.key == "[[content.rule]] 1: form"
    assert refused.value.nearest == "[[content.rule]] 1: from"


def test_the_moods_that_count_are_those_of_the_model(tmp_path: Path) -> None:
    text = '[[content.rule]]\nmood = "contempt"\ntext = "x"\n'
    with pytest.raises(SettingsError, match="unknown mood 'contempt'"):
        load_config(written(tmp_path, text))
    # A model that cannot be opened is refused by whoever opens it, in better words.
    load_config(written(tmp_path, f'model = "absent"\n{text}'))


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, '[[content.rule]]\nmood = "hapy"\ntext = "x"\n')
    done = CliRunner().invoke(main, ["run", "--config", str(path)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"edgefer: {path}: [[content.rule]] 1: mood: unknown mood 'hapy'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("begin", "end", "inside", "outside"),
    [
        ("06:00", "10:00", ["06:00", "09:59"], ["05:59", "10:00", "00:00"]),
        ("22:00", "06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59"]),
        ("18:00", "00:00", ["18:00", "23:59"], ["00:00", "17:59"]),
        ("00:00", "00:00", ["00:00", "12:00", "23:59"], []),
    ],
)
def test_times_of_day(begin: str, end: str, inside: list[str], outside: list[str]) -> None:
    rule = Rule(text="x", begin=begin, end=end)
    for text, covered in [*((one, True) for one in inside), *((one, False) for one in outside)]:
        assert rule.covers(datetime.strptime(text, "%H:%M").time()) is covered


# --- when a rule fires -------------------------------------------------------------


NO_MEMORY = MoodMemory(1.0, 5.0)


def fired(rule: Rule, moods: list[str], step: float = 1.0, patience: float = 5.0) -> list[int]:
    """Return the seconds at which a rule fires, for what is seen at each second."""
    holding, memory = RuleTrigger(rule, patience), MoodMemory(rule.over, patience)
    moments = []
    for moment, mood in enumerate(moods):
        memory.add(mood, step * moment)
        if holding.update(mood, step * moment, MORNING, memory):
            moments.append(moment)
    return moments


def test_it_fires_once_when_the_mood_has_held_long_enough() -> None:
    rule = Rule(mood="happy", minutes=0.5, text="x")
    assert fired(rule, ["sad"] * 10 + ["happy"] * 100) == [40]


def test_it_fires_again_when_the_mood_holds_again_and_the_rest_is_over() -> None:
    rule = Rule(mood="happy", minutes=0.1, rest=1.0, text="x")
    again = ["happy"] * 10 + ["sad"] * 20 + ["happy"] * 60 + ["sad"] * 20 + ["happy"] * 20
    # The second time is ready at 36 and waits for its rest; the third is at 116, after 66.
    assert fired(rule, again) == [6, 66, 126]


def test_a_short_interruption_does_not_count() -> None:
    rule = Rule(mood="happy", minutes=0.5, text="x")
    wavering = ["happy"] * 20 + ["unknown"] * 4 + ["happy"] * 20
    assert fired(rule, wavering) == [30]
    broken = ["happy"] * 20 + ["unknown"] * 6 + ["happy"] * 40
    assert fired(rule, broken) == [56]


def test_a_silence_breaks_it_as_another_mood_does() -> None:
    holding = RuleTrigger(Rule(mood="happy", minutes=1.0, text="x"), patience=5.0)
    assert not holding.update("happy", 0.0, MORNING, NO_MEMORY)
    assert not holding.update("happy", 90.0, MORNING, NO_MEMORY)
    assert not holding.update("happy", 95.0, MORNING, NO_MEMORY)


def test_it_waits_for_its_time_of_day() -> None:
    holding = RuleTrigger(Rule(mood="happy", begin="08:00", text="x"), patience=5.0)
    seven, eight = datetime(2026, 5, 17, 7, 59), datetime(2026, 5, 17, 8, 0)
    assert not holding.update("happy", 0.0, seven, NO_MEMORY)
    assert holding.update("happy", 1.0, eight, NO_MEMORY)


def test_it_waits_for_its_day() -> None:
    holding = RuleTrigger(Rule(mood="happy", days=("sat", "sun"), text="x"), patience=5.0)
    friday, saturday = datetime(2026, 5, 15, 12), datetime(2026, 5, 16, 12)
    assert not holding.update("happy", 0.0, friday, NO_MEMORY)
    assert holding.update("happy", 1.0, saturday, NO_MEMORY)


def test_a_share_of_the_last_minutes_bears_flicker() -> None:
    rule = Rule(mood="sad", share=0.5, over=1.0, text="x")
    flicker = (["sad"] * 6 + ["happy"] * 4) * 12
    # At 54 s it was sad for 30 of the last 60: six seconds in each ten.
    assert fired(rule, flicker, patience=1.0)[0] in (50, 51)
    assert fired(rule, (["sad"] * 3 + ["happy"] * 7) * 12, patience=1.0) == []
    # Nobody there is not the mood, and a face that was away for most of it is not sad for long.
    assert fired(rule, ["nobody"] * 50 + ["sad"] * 25) == []


def test_an_arrival_is_a_face_after_half_a_minute_without_one() -> None:
    rule = Rule(arrival=True, rest=0, text="x")
    seen = ["nobody"] * 5 + ["happy"] * 50 + ["nobody"] * 20 + ["happy"] * 30 + ["nobody"] * 40
    assert fired(rule, [*seen, *["sad"] * 5]) == [5, 145]
    late = Rule(mood="sad", arrival=True, text="x")
    assert fired(late, ["happy"] * 90 + ["sad"] * 30) == []
    assert fired(late, ["happy"] * 30 + ["sad"] * 30) == [30]


def test_a_rule_without_a_mood_is_about_any_face() -> None:
    assert fired(Rule(text="x"), ["nobody", "nobody", "unknown", "happy"]) == [2]
    assert fired(Rule(mood="nobody", text="x"), ["happy", "nobody"]) == [1]


def test_several_moods_are_one() -> None:
    rule = Rule(mood=("sad", "fear"), minutes=0.1, text="x")
    assert fired(rule, ["sad", "fear"] * 10) == [6]


def test_the_sink_follows_every_rule_and_closes_what_it_started() -> None:
    clock, notes = Clock(), RecordedActions()
    rules = Rule(mood="happy", text="a"), Rule(mood="nobody", minutes=1.0, text="b")

    async def whole() -> None:
        settings = ContentSettings(rule=rules)
        async with ContentSink(
            settings, MessageBoard(clock), notes, clock, lambda: MORNING
        ) as sink:
            for mood in ["happy"] * 5 + [None] * 100:
                await sink.publish(report(mood))
                clock.now += 1.0

    asyncio.run(whole())
    assert notes.started == [("a", "happy"), ("b", "nobody")]
    assert notes.closed


def shown_lines(settings: ContentSettings, moods: Sequence[str]) -> list[Line]:
    """Return the lines that are put on the board, one report a second."""
    clock = Clock()
    lines: list[Line] = []
    board = MessageBoard(clock)

    async def whole() -> None:
        first = lambda among: among[0]  # noqa: E731  # a chooser that can be foretold
        async with ContentSink(
            settings, board, RecordedActions(), clock, lambda: MORNING, first
        ) as sink:
            for mood in moods:
                await sink.publish(report(mood))
                if board.line is not None and board.line not in lines[-1:]:
                    lines.append(board.line)
                clock.now += 1.0

    asyncio.run(whole())
    return lines


def test_of_several_lines_the_last_one_is_not_chosen_again() -> None:
    rule = Rule(mood="happy", text=("a", "b", "c"), rest=0)
    moods = (["happy"] * 2 + ["sad"] * 40) * 3
    assert [line.text for line in shown_lines(ContentSettings(rule=(rule,)), moods)] == [
        *("a", "b", "a")
    ]


def test_a_line_names_the_minutes_and_leaves_the_mood_to_the_page() -> None:
    rule = Rule(mood="happy", minutes=2, text="{minutes} minutes of {mood}")
    (line,) = shown_lines(ContentSettings(rule=(rule,)), ["happy"] * 130)
    assert line == Line("2 minutes of {mood}", mood="happy")


def test_the_library_speaks_to_whoever_comes_and_after_minutes_of_sad() -> None:
    settings = ContentSettings(library=("compliments", "breathing"))
    moods = [*["happy"] * 60, *["sad"] * 400]
    assert [line.entry for line in shown_lines(settings, moods)] == ["compliments 1", "breathing 1"]
    assert shown_lines(ContentSettings(), moods) == []


def test_every_language_has_every_line_of_the_library() -> None:
    for code in languages():
        table = load_texts(code)["library"]
        assert list(table) == [
            f"{name} {n}" for name in LIBRARY for n in range(1, LIBRARY[name] + 1)
        ]
        assert max(map(len, table.values())) <= LONGEST_TEXT


def test_no_picture_is_not_nobody() -> None:
    clock, notes = Clock(), RecordedActions()

    async def whole() -> None:
        settings = ContentSettings(rule=(Rule(mood="nobody", text="b"),))
        async with ContentSink(
            settings, MessageBoard(clock), notes, clock, lambda: MORNING
        ) as sink:
            await sink.publish(report(None, problem="unplugged"))

    asyncio.run(whole())
    assert notes.started == []


# --- the line on the mirror -----------------------------------------------------------


def test_the_newest_line_stands_in_front_and_goes_when_its_time_is_over() -> None:
    clock = Clock()
    board = MessageBoard(clock)
    board.put(0, Line("first"), clock.now + 100)
    board.put(1, Line("second"), clock.now + 10)
    assert board.line == Line("second")
    clock.now += 11
    assert board.line == Line("first")
    board.extend(1, clock.now + 100)  # what is gone stays gone
    assert board.line == Line("first")
    clock.now += 100
    assert board.line is None


def test_a_line_stands_as_long_as_its_mood_holds() -> None:
    clock = Clock()
    board = MessageBoard(clock)
    settings = ContentSettings(rule=(Rule(mood="happy", text="hello"),))

    async def whole() -> list[bool]:
        shown = []
        async with ContentSink(settings, board, RecordedActions(), clock, lambda: MORNING) as sink:
            for mood in ["happy"] * 120 + ["sad"] * 20:
                await sink.publish(report(mood))
                shown.append(board.line == Line("hello"))
                clock.now += 1.0
        return shown

    shown = asyncio.run(whole())
    assert shown == [True] * 124 + [False] * 16


def test_a_line_of_a_moment_can_be_read() -> None:
    clock = Clock()
    board = MessageBoard(clock)
    settings = ContentSettings(rule=(Rule(mood="surprise", text="hello"),))

    async def whole() -> None:
        async with ContentSink(settings, board, RecordedActions(), clock, lambda: MORNING) as sink:
            await sink.publish(report("surprise"))

    asyncio.run(whole())
    clock.now += SHOWN_SECONDS - 1
    assert board.line == Line("hello")
    clock.now += 2
    assert board.line is None


def test_pages_are_told_the_line_when_it_changes_and_when_they_come() -> None:
    async def whole() -> tuple[dict[str, Any], dict[str, Any]]:
        context = SinkContext()
        async with mirror_sink(context) as mirror, ClientSession() as session:
            async with session.ws_connect(mirror.server.url + "ws") as page:
                while (first := await page.receive_json())["type"] != "hello":
                    pass
                assert first["content"] == {"type": "content", "line": None}
                context.board.put(0, Line("hi", "https://example.org/"), time.monotonic() + 60)
                while (told := await page.receive_json())["type"] != "content":
                    pass
            async with session.ws_connect(mirror.server.url + "ws") as late:
                hello = await late.receive_json()
            return told, hello

    told, hello = asyncio.run(asyncio.wait_for(whole(), PATIENCE))
    line = {"type": "content", "line": {"text": "hi", "link": "https://example.org/"}}
    assert told == line
    assert hello["content"] == line


# --- what is started -------------------------------------------------------------------


def act(actions: Actions, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        try:
            await asyncio.wait_for(story(), PATIENCE)
        finally:
            await actions.close()

    asyncio.run(whole())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def test_a_message_reaches_the_broker(broker: Mosquitto) -> None:
    actions = Actions(parse_broker(f"mqtt://127.0.0.1:{broker.port}/home"))
    rule = Rule(mqtt=Publication("lamp/set", "warm", retain=True))

    async def story() -> None:
        actions.start(rule, "happy")
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            await client.subscribe("lamp/#")
            message = await anext(aiter(client.messages))
            assert (str(message.topic), message.payload) == ("lamp/set", b"warm")

    act(actions, story)


def test_a_broker_that_is_away_is_tried_again_and_then_left(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    actions = Actions(parse_broker(f"mqtt://127.0.0.1:{port}/home"), retry_seconds=0.01)

    async def story() -> None:
        actions.start(Rule(mqtt=Publication("lamp/set")), "happy")
        await until(lambda: bool(caplog.records))

    act(actions, story)
    assert f"'lamp/set' not published: broker 127.0.0.1:{port} cannot be reached" in caplog.text


def test_a_command_gets_its_words_as_they_are_and_the_mood(tmp_path: Path) -> None:
    script = tmp_path / "note.sh"
    script.write_text('#!/bin/sh\nprintf "%s|%s|%s" "$EDGEFER_MOOD" "$1" "$2" > "$3.part"\n'
                      'mv "$3.part" "$3"\n')  # fmt: skip
    script.chmod(0o755)
    out = tmp_path / "out"
    actions = Actions(None)
    words = (str(script), "a; touch /tmp/never", "$(id)", str(out))

    async def story() -> None:
        actions.start(Rule(command=words), "happy")
        await until(out.exists)

    act(actions, story)
    assert out.read_text() == "happy|a; touch /tmp/never|$(id)"


def test_what_a_command_writes_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "edgefer_device")
    actions = Actions(None)
    script = "echo $EDGEFER_MINUTES minutes; echo oh >&2; head -c 100000 /dev/zero"

    async def story() -> None:
        actions.start(Rule(command=("/bin/sh", "-c", script)), "happy", 7)
        await until(lambda: len(caplog.records) >= 2 and not actions._tasks)

    act(actions, story)
    assert caplog.messages[:2] == ["/bin/sh: 7 minutes", "/bin/sh: oh"]
    assert sum(map(len, caplog.messages)) < 3000


def test_a_child_in_the_background_goes_on_writing(tmp_path: Path) -> None:
    out, ended = tmp_path / "out", tmp_path / "ended"
    # It waits until the program has ended and writes more than a pipe holds.
    child = f"until [ -e {ended} ]; do sleep 0.05; done; head -c 200000 /dev/zero; touch {out}"
    actions = Actions(None)

    async def story() -> None:
        actions.start(Rule(command=("/bin/sh", "-c", f"({child}) & exit 0")), "happy")
        await until(lambda: not actions._tasks)
        ended.touch()
        await until(out.exists)

    act(actions, story)


def test_a_child_that_keeps_the_output_open_holds_nothing_up() -> None:
    actions = Actions(None)

    async def story() -> None:
        script = "setsid sleep 30 & exit 0"
        actions.start(Rule(command=("/bin/sh", "-c", script)), "happy")
        begin = time.monotonic()
        await until(lambda: not actions._tasks)
        assert time.monotonic() - begin < 10

    act(actions, story)


def test_a_command_that_hangs_is_killed_with_its_children(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pid = tmp_path / "pid"
    actions = Actions(None)
    script = f"sleep 600 & echo $! > {pid}.part; mv {pid}.part {pid}; wait"
    rule = Rule(command=("/bin/sh", "-c", script), timeout=0.3)

    async def story() -> None:
        actions.start(rule, "happy")
        await until(lambda: bool(caplog.records))
        await until(lambda: ended(int(pid.read_text())))

    act(actions, story)
    assert "/bin/sh did not end within 0.3 s and was killed" in caplog.text


def ended(pid: int) -> bool:
    """Whether a process is gone, or dead and only not yet waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except FileNotFoundError:
        return True


def test_leaving_kills_what_still_runs(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    actions = Actions(None)
    script = f"echo $$ > {pid}.part; mv {pid}.part {pid}; exec sleep 600"

    async def story() -> None:
        actions.start(Rule(command=("/bin/sh", "-c", script)), "happy")
        await until(pid.exists)

    act(actions, story)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/absent/program",), "/absent/program cannot be started: No such file or directory"),
        (("/bin/false",), "/bin/false ended with status 1"),
    ],
)
def test_a_command_that_fails_is_said_and_ends_nothing(
    command: tuple[str, ...], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    actions = Actions(None)

    async def story() -> None:
        actions.start(Rule(command=command), "happy")
        await until(lambda: bool(caplog.records))

    act(actions, story)
    assert words in caplog.text


def test_a_command_that_still_runs_is_not_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    actions = Actions(None)
    rule = Rule(command=("/bin/sh", "-c", f"echo x >> {out}; exec sleep 600"))

    async def story() -> None:
        actions.start(rule, "happy")
        await until(lambda: out.exists() and out.read_text() == "x\n")
        actions.start(rule, "happy")
        await until(lambda: bool(caplog.records))

    act(actions, story)
    assert out.read_text() == "x\n"
    assert "the last command of a rule has not ended yet" in caplog.text


def test_the_configuration_builds_it_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = f"""
        sinks = ["jsonl:{tmp_path / "a.jsonl"}"]
        [content]
        allow_commands = true
        [[content.rule]]
        mood = "happy"
        command = ["/usr/bin/touch", "{out}"]
    """

    async def whole() -> None:
        config = load_config(written(tmp_path, text))
        sinks = open_sinks(config.sinks, SinkContext(content=config.content)).sinks
        for sink in sinks:
            await sink.__aenter__()
        for sink in sinks:
            await sink.publish(report("happy"))
        await until(out.exists)
        for sink in reversed(sinks):
            await sink.__aexit__(None, None, None)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE))


# --- edgefer content try ------------------------------------------------------------------

TRIED = """
[content]
library = ["compliments"]
[[content.rule]]
mood = "sad"
share = 0.6
days = ["sun"]
from = "20:00"
to = "23:00"
text = ["Oh, {mood}.", "A walk?"]
[[content.rule]]
mood = ["happy", "neutral"]
minutes = 5
text = "Fine."
"""


@pytest.mark.parametrize(
    ("words", "verdicts"),
    [
        (
            "--mood sad --at 21:00 --day sun",
            [
                "sad for 60 min, sun 21:00",
                "rule 1, 'Oh, {mood}.' or 1 more: fires",
                "rule 2, 'Fine.': no: the mood is sad, not happy or neutral",
                "library, 'library:compliments': no: nobody has just come",
            ],
        ),
        (
            "--mood sad --at 19:30 --day mon --minutes 3 --arrival",
            [
                "sad for 3 min, mon 19:30, somebody came 3 min ago",
                "rule 1, 'Oh, {mood}.' or 1 more: no: the day is mon, not sun;"
                " the time is 19:30, not from 20:00 to 23:00;"
                " it is 30% of the last 10 min, not 60%",
                "rule 2, 'Fine.': no: the mood is sad, not happy or neutral;"
                " it has held for 3 min, not 5",
                "library, 'library:compliments': no: nobody has just come",
            ],
        ),
        (
            "--mood happy --at 8:00 --day sat --arrival",
            [
                "happy for 0 min, sat 08:00, somebody has just come",
                "rule 1, 'Oh, {mood}.' or 1 more: no: the mood is happy, not sad;"
                " the day is sat, not sun; the time is 08:00, not from 20:00 to 23:00;"
                " it is 0% of the last 10 min, not 60%",
                "rule 2, 'Fine.': no: it has held for 0 min, not 5",
                "library, 'library:compliments': fires",
            ],
        ),
    ],
)
def test_rules_are_tried_without_a_camera(tmp_path: Path, words: str, verdicts: list[str]) -> None:
    config = str(written(tmp_path, TRIED))
    done = CliRunner().invoke(main, ["content", "try", "--config", config, *words.split()])
    assert (done.exit_code, done.stdout.splitlines()) == (0, verdicts)


@pytest.mark.parametrize("minutes", ["nan", "inf", "-1"])
def test_minutes_that_are_no_number_are_refused(tmp_path: Path, minutes: str) -> None:
    words = ["--config", str(written(tmp_path, TRIED)), "--mood", "sad", "--minutes", minutes]
    done = CliRunner().invoke(main, ["content", "try", *words])
    assert (done.exit_code, "Invalid value for '--minutes'" in done.stderr) == (2, True)


def test_rules_are_told_by_the_mirrors_clock(tmp_path: Path) -> None:
    config = str(written(tmp_path, TRIED + "[mirror]\nclock = 12\n"))
    words = ["content", "try", "--config", config, "--mood", "sad", "--at", "0:05", "--day", "sun"]
    told = CliRunner().invoke(main, words).stdout
    assert told.startswith("sad for 60 min, sun 12:05 am\n")
    assert "the time is 12:05 am, not from 8:00 pm to 11:00 pm" in told


def test_what_cannot_be_tried_is_one_line(tmp_path: Path) -> None:
    config = str(written(tmp_path, TRIED))

    def refused(*words: str) -> str:
        done = CliRunner().invoke(main, ["content", "try", "--config", config, *words])
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        return done.stderr

    assert "--mood: unknown mood 'hapy'; did you mean 'happy'?" in refused("--mood", "hapy")
    at = refused("--mood", "sad", "--at", "noon")
    assert "--at must be a time of day such as 06:30, got 'noon'" in at
    none = CliRunner().invoke(main, ["content", "try", "--mood", "sad"])
    assert "no rules: add [[content.rule]]" in none.stdout


# --- Chromium ------------------------------------------------------------------------------


needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not installed"
)
PIECES = "['#clock', '#date', '#halo', '#mood', '#detail', '#content', '#ribbon', '#notice']"


@contextmanager
def page(browser: Chrome, context: SinkContext) -> Iterator[LiveMirror]:
    with LiveMirror(context) as mirror:
        browser.get(mirror.sink.server.url)
        yield mirror


def shown(browser: Chrome, script: str) -> Any:
    return browser.execute_script(f"return {script}")


def wait(browser: Chrome, script: str, wanted: object) -> None:
    end = time.monotonic() + PATIENCE
    while (found := shown(browser, script)) != wanted:
        assert time.monotonic() < end, f"wanted {wanted!r}, found {found!r}"
        time.sleep(0.03)  # real time: a browser cannot be told that it has passed


@needs_chromium
def test_the_page_words_the_mood_and_the_library_in_its_language(browser: Chrome) -> None:
    context = SinkContext(mirror=MirrorSettings(language="de"))
    text = "document.querySelector('#content').textContent"
    with page(browser, context):
        context.board.put(0, Line("Oh, {mood}?", mood="sad"), time.monotonic() + 3600)
        wait(browser, text, "Oh, traurig?")
        context.board.put(1, Line("", entry="music 1"), time.monotonic() + 3600)
        wait(browser, text, "Vielleicht ein Lieblingslied?")


@needs_chromium
def test_the_page_shows_the_line_and_its_link_and_everything_still_fits(
    browser: Chrome,
) -> None:
    context = SinkContext()
    board = context.board
    with page(browser, context) as mirror:
        text = "document.querySelector('#content').textContent"
        hidden = "document.querySelector('#content').hidden"
        wait(browser, hidden, True)
        board.put(0, Line("A song for <you>?"), time.monotonic() + 3600)
        wait(browser, text, "A song for <you>?")
        assert not shown(browser, "document.querySelector('#content a')")
        for long in (LONG, "镜" * LONGEST_TEXT):
            board.put(1, Line(long, "https://radio.example/list"), time.monotonic() + 3600)
            wait(browser, text, long)
            assert shown(browser, "document.querySelector('#content a').href").endswith("/list")
            for size in [(320, 568), (800, 480), (844, 390), (1080, 1920), (3840, 2160)]:
                resize(browser, *size)
                for mood in ("contempt", None):
                    mirror.publish(mood, 0.8)
                    word = mood or "no one in view"
                    wait(browser, "document.querySelector('#mood').textContent", word)
                    assert shown(browser, COVERING) == []
                    assert shown(browser, CUT) is False


LONG = (
    "Good morning: the kitchen radio plays the list that you chose for mornings like this one,"
    " and coffee is on the table now"
)
CUT = (
    "(() => { const content = document.querySelector('#content');"
    " const words = document.createRange(); words.selectNodeContents(content);"
    " const [box, ink] = [content, words].map((one) => one.getBoundingClientRect());"
    " return getComputedStyle(content).overflow !== 'visible'"
    "  || ink.bottom > box.bottom + parseFloat(getComputedStyle(content).fontSize) / 4"
    "  || ink.right > box.right + 1; })()"
)
"""Whether a part of the line is not shown; a letter's box is a little higher than its line."""
COVERING = (
    f"{PIECES}.map((name) => [name, document.querySelector(name).getBoundingClientRect()])"
    ".flatMap(([name, a], at, all) => ["
    " ...(a.left < 0 || a.right > innerWidth || a.top < 0 || a.bottom > innerHeight"
    "  ? [name + ' is outside'] : []),"
    " ...all.slice(at + 1).filter(([, b]) => !(a.right <= b.left + 1 || b.right <= a.left + 1"
    "  || a.bottom <= b.top + 1 || b.bottom <= a.top + 1)).map(([other]) => name + ' ' + other)])"
)
"""Pieces that stand out of the window or cover one another by more than a pixel."""
