"""The page in a pocket, in Chromium: what it reads, without a server too, and what it says."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from selenium.webdriver import Chrome

from edgefer.bundle import open_bundle
from edgefer.litert import open_interpreter
from edgefer_device.bench.labelled_faces import read_part
from edgefer_device.export.web import policy_of, web_files
from edgefer_device.faces.opening import open_detector
from support.browser import CHROMEDRIVER, CHROMIUM, chromium, resize
from support.live_page import LivePage, fake_camera, mjpeg, remember_moods
from support.npm import CACHE

PATIENCE = 120.0
"""Seconds for what takes a few: the runtime is compiled, and CI machines are busy."""

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not installed"
)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return web_files(open_bundle("small"), CACHE)


@pytest.fixture(scope="module")
def page(files: dict[str, bytes]) -> Iterator[LivePage]:
    with LivePage(files) as served:
        yield served


@contextmanager
def phone(*flags: str) -> Iterator[Chrome]:
    """Run a browser of a phone's size."""
    with chromium(412, 915, "force-prefers-reduced-motion", *flags) as driver:
        driver.set_script_timeout(4 * PATIENCE)
        yield driver


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """One with a camera in which there is nobody, only Chromium's test picture."""
    with phone(*fake_camera()) as driver:
        yield driver


def state(driver: Chrome) -> str:
    return str(driver.execute_script("return document.body.dataset.state"))


def read(driver: Chrome, selector: str) -> str:
    script = "return document.querySelector(arguments[0]).textContent"
    return str(driver.execute_script(script, selector))


def shown(driver: Chrome, selector: str) -> bool:
    script = "return document.querySelector(arguments[0]).checkVisibility()"
    return bool(driver.execute_script(script, selector))


def press(driver: Chrome, selector: str) -> None:
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def wait(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def wait_for(driver: Chrome, *states: str) -> None:
    wait(lambda: state(driver) in states, f"{states}, but it is {state(driver)}")


# --- reading -----------------------------------------------------------------


def runs(driver: Chrome) -> list[str | None]:
    """What the page reported in turn, from the first neutral on; what lasted is told once."""
    moods = driver.execute_script("return moods")
    faces = itertools.dropwhile(lambda mood: mood != "neutral", moods)
    return [mood for mood, _ in itertools.groupby(faces)]


def watch(driver: Chrome) -> list[str | None]:
    """Wait until the clip has begun again and changed again."""
    wait(lambda: len(runs(driver)) >= 4, f"moods that change, got {runs(driver)}")
    return runs(driver)


def test_neutral_then_happy_and_the_same_without_a_server(
    files: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    clip = mjpeg(data / "clips" / "single_face.mp4", tmp_path / "clip.mjpeg", times=4)
    with phone(*fake_camera(clip)) as driver:
        remember_moods(driver)
        with LivePage(files) as served:
            driver.get(served.url)
            first = watch(driver)
        driver.refresh()  # nobody serves it any more
        second = watch(driver)
        kept = driver.execute_script("return performance.getEntriesByType('resource').length")
    for moods in (first, second):
        # One change in each pass of the clip, and nothing else ever.
        passes = zip(moods, itertools.cycle(("neutral", "happy")))
        assert all(mood == wanted for mood, wanted in passes), moods
    assert kept > 20


ASIDE = "jost.OFL.txt"
"""A file of the page's origin: its modules can be called there without the page running beside."""


def in_page(driver: Chrome, body: str, *given: object) -> Any:
    """Run an async function's body in the page, with `given`; its errors are the test's."""
    script = (
        "const done = arguments[arguments.length - 1];"
        f"(async (given) => {{ {body} }})(arguments[0])"
        ".then((found) => done({ found }), (error) => done({ error: String(error) }));"
    )
    answer = driver.execute_async_script(script, *given)
    assert "error" not in answer, answer
    return answer["found"]


OPEN = (
    "const { openModels } = await import('./models.js');"
    "const contract = await (await fetch('contract.json')).json();"
    "const models = await openModels(contract);"
    "const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));"
)


def test_a_thousand_real_faces_are_counted_as_in_python(
    browser: Chrome, page: LivePage, data: Path
) -> None:
    faces = read_part(data, "PrivateTest", 1000).images
    browser.get(page.url + ASIDE)
    counts = in_page(
        browser,
        OPEN + "const all = bytes(given); const found = [];"
        "for (let at = 0; at < all.length; at += 48 * 48) {"
        " const data = all.subarray(at, at + 48 * 48);"
        " const crop = { data, width: 48, height: 48, channels: 1 };"
        " const heads = await models.classifier.quantized(crop);"
        " found.push(heads.flatMap((head) => Array.from(head))); }"
        "return found;",
        base64.b64encode(faces.tobytes()).decode(),
    )
    assert np.array_equal(counts, python_counts(faces))


def python_counts(faces: np.ndarray[Any, np.dtype[np.uint8]]) -> list[list[int]]:
    model = open_interpreter(open_bundle("small").read("int8"))
    given = model.get_input_details()[0]["index"]
    outputs = [one["index"] for one in model.get_output_details()]
    found = []
    for face in faces:
        model.set_tensor(given, (face.astype(np.int16) - 128).astype(np.int8)[None, ..., None])
        model.invoke()
        found.append([int(one) for at in outputs for one in model.get_tensor(at)[0]])
    return found


def test_faces_are_found_where_python_finds_them(
    browser: Chrome, page: LivePage, data: Path
) -> None:
    pictures = [cv2.imread(str(path)) for path in sorted((data / "photos").glob("*.jpg"))[:3]]
    browser.get(page.url + ASIDE)
    for picture in pictures:
        assert picture is not None
        wanted = open_detector("blazeface").watch(np.asarray(picture, np.uint8))
        rgba = cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA)
        found = in_page(
            browser,
            OPEN + "const [text, width, height] = given;"
            "const pixels = { data: bytes(text), width, height, channels: 4 };"
            "return models.detector.watch(pixels, [], true);",
            [base64.b64encode(rgba.tobytes()).decode(), picture.shape[1], picture.shape[0]],
        )
        assert len(found) == len(wanted) > 0
        for face, same in zip(found, wanted, strict=True):
            box = [face["box"][side] for side in ("left", "top", "width", "height")]
            assert box == pytest.approx([*vars_of(same.box)], abs=0.05)
            assert face["score"] == pytest.approx(same.score, abs=1e-3)
            assert face["turn"] == pytest.approx(same.turn, abs=1e-3)


def vars_of(box: Any) -> tuple[float, float, float, float]:
    return box.left, box.top, box.width, box.height


# --- what is said ------------------------------------------------------------


def test_it_reads_pauses_and_turns_to_the_other_camera(browser: Chrome, page: LivePage) -> None:
    browser.get(page.url)
    wait_for(browser, "nobody")
    assert read(browser, "#mood") == "no one in view"
    assert "not feelings" in read(browser, "#notice")
    press(browser, "#pause")
    assert (state(browser), read(browser, "#pause")) == ("paused", "Resume")
    assert read(browser, "#notice") == "Nothing is read now: the camera is closed."
    assert browser.execute_script("return document.querySelector('#glass').srcObject === null")
    press(browser, "#pause")
    wait_for(browser, "nobody")
    press(browser, "#turn")
    wait_for(browser, "nobody")


def test_it_asks_before_it_opens_the_camera(browser: Chrome, page: LivePage) -> None:
    with permission(browser, "prompt"):
        browser.get(page.url)
        wait_for(browser, "welcome")
        assert read(browser, "#mood") == "What does your face say?"
        assert "never leaves it" in read(browser, "#advice")
        assert not shown(browser, "#pause")
        assert shown(browser, "#start")


@contextmanager
def permission(driver: Chrome, setting: str) -> Iterator[None]:
    driver.execute_cdp_cmd(
        "Browser.setPermission", {"permission": {"name": "camera"}, "setting": setting}
    )
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Browser.resetPermissions", {})


def test_it_speaks_the_language_that_is_chosen(browser: Chrome, page: LivePage) -> None:
    browser.get(page.url)
    for code, words in (("de", "niemand zu sehen"), ("zh", "无人"), ("en", "no one in view")):
        wait_for(browser, "nobody")
        choose = (
            "const s = document.querySelector('#language'); s.value = arguments[0]; s.onchange()"
        )
        browser.execute_script(choose, code)
        wait(lambda words=words: read(browser, "#mood") == words, words)  # type: ignore[misc]
    assert browser.execute_script("return document.documentElement.lang") == "en"


TROUBLES = {
    "insecure": "Object.defineProperty(window, 'isSecureContext', { value: false })",
    "absent": "MediaDevices.prototype.getUserMedia = async () => {"
    " throw new DOMException('', 'NotFoundError'); }",
    "denied": "MediaDevices.prototype.getUserMedia = async () => {"
    " throw new DOMException('', 'NotAllowedError'); }",
    "busy": "MediaDevices.prototype.getUserMedia = async () => {"
    " throw new DOMException('', 'NotReadableError'); }",
    "simd": "WebAssembly.validate = () => false",
    "unpack": "delete window.DecompressionStream",
}
"""What a browser is made to be."""


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_is_in_the_way_is_shown_in_one_kind_line(
    browser: Chrome, page: LivePage, files: dict[str, bytes], trouble: str
) -> None:
    with planted(browser, TROUBLES[trouble]):
        browser.get(page.url)
        wait_for(browser, "trouble")
    texts = json.loads(files["texts.en.json"])
    assert read(browser, "#mood") == texts["troubles"][trouble]
    assert read(browser, "#advice") == texts["advice"][trouble]
    assert shown(browser, "#advice")
    assert shown(browser, "#start") == (trouble in ("absent", "denied", "busy"))


@contextmanager
def planted(driver: Chrome, source: str) -> Iterator[None]:
    """Let a script run before any of the page's own."""
    command = "Page.addScriptToEvaluateOnNewDocument"
    number = driver.execute_cdp_cmd(command, {"source": source})
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", number)


def test_a_permission_that_is_refused_can_be_given_later(browser: Chrome, page: LivePage) -> None:
    refuse = TROUBLES["denied"].replace(
        "async () => {", "async function (...all) { if (!window.given)"
    )
    refuse = refuse.replace(
        "MediaDevices", "const real = MediaDevices.prototype.getUserMedia; MediaDevices", 1
    )
    refuse = refuse.removesuffix("}") + " return real.apply(this, all); }"
    with planted(browser, refuse):
        browser.get(page.url)
        wait_for(browser, "trouble")
        browser.execute_script("window.given = true")
        press(browser, "#start")
        wait_for(browser, "nobody")


def test_an_address_that_is_not_safe_is_reported(page: LivePage) -> None:
    with phone("host-resolver-rules=MAP 192.0.2.7 127.0.0.1") as driver:
        driver.get(f"http://192.0.2.7:{page.port}/")
        wait_for(driver, "trouble")
        assert read(driver, "#mood") == "no camera here"
        assert "https" in read(driver, "#advice")


# --- kept on the phone -------------------------------------------------------


def test_the_page_loads_its_own_files_and_the_browser_refuses_others(
    browser: Chrome, page: LivePage, files: dict[str, bytes]
) -> None:
    browser.get(page.url)
    wait_for(browser, "nobody")
    listed = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert all(name.startswith(page.url) for name in browser.execute_script(listed))
    refused = in_page(
        browser,
        "return new Promise((resolve) => {"
        " addEventListener('securitypolicyviolation', (event) => resolve(event.blockedURI));"
        " fetch('https://192.0.2.1/').catch(() => {}); });",
    )
    assert refused == "https://192.0.2.1/"
    # Workers obey the policy of their own file: the service worker puts it there, whoever hosts.
    sent = in_page(
        browser, "return (await fetch('worker.js')).headers.get('Content-Security-Policy');"
    )
    assert sent == policy_of(files)


def test_a_browser_can_install_it(browser: Chrome, page: LivePage) -> None:
    browser.get(page.url)
    wait_for(browser, "nobody")
    manifest = browser.execute_cdp_cmd("Page.getAppManifest", {})
    assert manifest["errors"] == []
    assert browser.execute_cdp_cmd("Page.getInstallabilityErrors", {})["installabilityErrors"] == []


def test_a_new_version_is_offered_and_taken(files: dict[str, bytes]) -> None:
    newer = web_files(open_bundle("tiny"), CACHE)
    with phone(*fake_camera()) as driver:
        with LivePage(files) as served:
            driver.get(served.url)
            wait_for(driver, "nobody")
            assert not shown(driver, "#update")
        with LivePage(newer, served.port) as again:
            driver.get(again.url)
            wait(lambda: shown(driver, "#update"), "an update")
            assert NEWER not in in_page(driver, CONTRACT)
            # Asking the page for a file would keep its old worker busy, and so in its place.
            driver.execute_script("window.older = true")
            press(driver, "#update")
            wait(lambda: not driver.execute_script("return window.older"), "the page anew")
            assert NEWER in in_page(driver, CONTRACT)
            kept = in_page(driver, "return (await (await caches.open('edgefer')).keys()).length;")
        assert kept == len(newer) - 1  # not the service worker itself, nothing of the old ones


CONTRACT = "return (await fetch('contract.json')).text();"
NEWER = f'"model":"{open_bundle("tiny").manifest.name}"'


def test_a_phone_without_room_reads_all_the_same(page: LivePage) -> None:
    with phone(*fake_camera()) as driver:
        driver.get(page.url + "icon.svg")  # the origin, before its page
        limit = {"origin": page.url, "quotaSize": 100_000}
        driver.execute_cdp_cmd("Storage.overrideQuotaForOrigin", limit)
        driver.get(page.url)
        wait_for(driver, "nobody")
        assert read(driver, "#note").startswith("There is no room to keep this page")


def test_a_file_that_does_not_come_is_reported(files: dict[str, bytes]) -> None:
    lacking = {name: content for name, content in files.items() if name != "far.bin"}
    with phone(*fake_camera()) as driver, LivePage(lacking) as served:
        driver.get(served.url)
        wait_for(driver, "trouble")
        assert read(driver, "#mood") == "a part is missing"
        assert read(driver, "#note").startswith("This page could not be kept")


SLOW_CAMERA = """
navigator.mediaDevices.getUserMedia = async () => document.createElement("canvas").captureStream();
HTMLMediaElement.prototype.play = function () {
  return new Promise((_, fail) => setInterval(() => {
    if (this.srcObject || window.aborted) return;
    fail(new DOMException("", "AbortError"));
    window.aborted = true;
  }, 50));
};
"""
"""It is there at once, and its picture is awaited until it is closed."""


def test_a_camera_that_is_closed_while_it_opens_is_not_called_busy(files: dict[str, bytes]) -> None:
    lacking = {name: content for name, content in files.items() if name != "far.bin"}
    with phone(*fake_camera()) as driver, LivePage(lacking) as served:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SLOW_CAMERA})
        driver.get(served.url)
        wait_for(driver, "trouble")
        assert read(driver, "#mood") == "a part is missing"
        # What follows from the error is done before the next script runs.
        wait(lambda: driver.execute_script("return window.aborted"), "the opening to end")
        assert read(driver, "#mood") == "a part is missing"


# --- what it looks like ------------------------------------------------------


SIZES = [(320, 568), (412, 915), (844, 390), (1024, 768)]


@pytest.mark.parametrize(("language", "plant"), [("de", TROUBLES["denied"]), ("en", "")])
def test_everything_fits_the_screen(
    browser: Chrome, page: LivePage, language: str, plant: str
) -> None:
    with planted(browser, f"localStorage.setItem('edgefer-language', '{language}');{plant}"):
        browser.get(page.url)
        wait_for(browser, "trouble" if plant else "nobody")
    for size in SIZES:
        resize(browser, *size)
        assert (size, outside(browser)) == (size, [])
    browser.execute_script("localStorage.clear()")


PIECES = json.dumps(["#halo", "#mood", "#detail", "#advice", "#start", "#ribbon", "#notice"])


def outside(driver: Chrome) -> list[str]:
    """Return what stands out of the window, or over another."""
    return list(
        driver.execute_script(
            f"const there = {PIECES}.map((name) => document.querySelector(name)).filter((one) =>"
            " one.checkVisibility({ visibilityProperty: true })"
            " && (one.textContent || one.matches('#halo')));"
            "const boxes = there.map((one) => [one.id, one.getBoundingClientRect()]);"
            "const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1"
            " || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;"
            "const out = (box) => box.left < 0 || box.right > innerWidth + 1"
            " || box.top < 0 || box.bottom > innerHeight + 1;"
            "return boxes.filter(([, box], at) => out(box)"
            " || boxes.slice(at + 1).some(([, other]) => !apart(box, other)))"
            ".map(([name]) => name);"
        )
    )
