"""The page in a real browser: what it shows, how it is used, and that no conversation can run or fetch anything."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.evaluation import Report
from stateset_gym.policies.evaluation.page import page, write_page
from stateset_gym.policies.evaluation.page.choose import chosen
from stateset_gym.policies.evaluation.page.talks import embedded
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.runs import Setting, serial
from stateset_gym.policies.trace import Step, Trace

DESK = "StateSet/CustomerService-v0"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
HOSTILE = (
    "</script><script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", "<!--<script>",
    "]]>&lt;b&gt;&#60;", "\u2028window.pwned=1\u2029", "javascript:window.pwned=1", "${window.pwned=1}`'\"\\",
    "\u202egnp.exe\x00\x1b[31m",
)  # fmt: skip


WIRED = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(read, 3)   # where Chromium listens
os.dup2(write, 4)  # where it answers
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A headless Chromium, driven over its debugging pipe: JSON between zero bytes."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        read, self._out = os.pipe()
        self._in, write = os.pipe()
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
                 "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={folder}")  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", WIRED, str(read), str(write), CHROMIUM, *flags, "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(read, write),
        )  # fmt: skip
        os.close(read)
        os.close(write)
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.size(1280, 900)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method, and wait for its result."""
        self._number += 1
        call = {"id": self._number, "method": method, "params": params}
        call |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(call).encode() + b"\0")
        while (message := self._receive()).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], 60)
            assert ready, "the browser does not answer"
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "the browser has gone"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, path: Path, where: str = "") -> None:
        """Open a file, anew even where only what follows the # differs."""
        self.send("Page.navigate", url="about:blank")
        self.events.clear()
        self.send("Page.navigate", url=f"file://{path}{where}")
        while not self.run("document.readyState === 'complete' && location.protocol === 'file:'"):
            pass

    def run(self, script: str) -> Any:
        """What an expression of JavaScript comes to."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def text(self, selector: str) -> str:
        """The text of an element."""
        found = self.run(f"document.querySelector({json.dumps(selector)}).innerText")
        assert isinstance(found, str)
        return found

    def texts(self, selector: str) -> list[str]:
        """The texts of all such elements."""
        found: list[str] = self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.textContent)")
        return found

    def press(self, keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.send("Input.dispatchKeyEvent", type="keyDown", text=key, key=key, unmodifiedText=key)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def click(self, selector: str) -> None:
        """Click where an element is."""
        at = self.run(
            f"(e => (e.scrollIntoView({{behavior: 'instant', block: 'center'}}), (({{x, y, width, height}}) => "
            f"({{x: x + width / 2, y: y + height / 2}}))(e.getBoundingClientRect())))"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)
        self.settle()

    def choose(self, field: str, value: str) -> None:
        """Choose in a list, as a person's choice arrives."""
        self.run(f"(f => {{f.value = {json.dumps(value)}; f.dispatchEvent(new Event('input', {{bubbles: true}}))}})"
                 f"(document.querySelector('[name={field}]'))")  # fmt: skip
        self.settle()

    def settle(self) -> None:
        """Wait until what was set off is done."""
        self.run("new Promise(done => setTimeout(() => setTimeout(done)))")

    def size(self, width: int, height: int) -> None:
        """Make the window so large."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def complaints(self) -> list[Any]:
        """What went wrong in the page, and what it asked the network for."""
        self.settle()
        wrong = ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")
        asked = [
            event["params"]["request"]["url"] for event in self.events if event["method"].endswith("requestWillBeSent")
        ]
        return [event for event in self.events if event["method"] in wrong] + asked[1:]

    def close(self) -> None:
        """End it."""
        os.close(self._out)
        self._process.terminate()
        self._process.wait(20)
        os.close(self._in)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


def conversations(policy: str, count: int, difficulty: str = "normal", trials: int = 1) -> list[Trace]:
    pool = Setting(DESK, policy).env(split="test", difficulty=difficulty).pool
    jobs = [Job(pool[number], trial) for number in range(count) for trial in range(trials)]
    return list(serial(Setting(DESK, policy), jobs))


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    """A careless agent's conversations; two of them were not measured."""
    found = conversations("never-asks", 24, trials=2) + conversations("never-asks", 6, "easy")
    for trace in found[3:5]:
        trace.error, trace.outcome, trace.success = "The endpoint is dead (openai:local): start it.", "", False
    return found


@pytest.fixture(scope="module")
def file(traces: list[Trace], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, Report.of(traces), traces)
    return path


Where = Callable[[str], None]


@pytest.fixture
def at(browser: Browser, file: Path) -> Where:
    return lambda where="": browser.open(file, where)


@needs_browser
def test_the_page_opens_without_a_complaint_and_asks_for_nothing(browser: Browser, at: Where) -> None:
    at("")
    assert browser.complaints() == []
    assert browser.text("h1") == f"never-asks on {DESK}"
    assert "2 of 54 episodes were not measured" in browser.text(".warning")
    assert browser.text("#count") == "54 conversations"
    assert browser.text("#shown") == "All 54 conversations are in this page."
    assert len(browser.texts("#list a")) == 54


@needs_browser
def test_every_conversation_can_be_read_whole(browser: Browser, at: Where, traces: list[Trace]) -> None:
    at("")
    for trace in traces[::9]:
        at(f"#{trace.scene}/{trace.trial}")
        shown = " ".join(browser.text("#talk").split())
        assert f"{trace.scene}, trial {trace.trial}" in shown
        for message in trace.messages[1:]:
            if message["role"] == "user":
                for line in message["content"].split("\n"):
                    assert " ".join(line.split()) in shown
        actions = [json.loads(text) for text in browser.texts(".agent pre")]
        assert actions == [json.loads(msgspec.json.encode(step.action)) for step in trace.steps]
        assert len(browser.texts(".violation")) == len(trace.violations)
    assert browser.complaints() == []


@needs_browser
def test_the_lowest_return_comes_first_and_what_each_turn_paid_is_shown(
    browser: Browser, at: Where, traces: list[Trace]
) -> None:
    at("#?result=failure")
    measured = [trace for trace in traces if trace.measured and not trace.success]
    worst = min(measured, key=lambda trace: trace.total)
    assert f"return \u2212{abs(worst.total):.2f}" in browser.text("#talk")
    paid = [sum(value < 0 for value in step.terms.values()) for step in worst.steps]
    assert len(browser.texts(".turn .chip.down")) == sum(paid)


@needs_browser
def test_search_finds_the_conversations_with_all_words_and_marks_them(
    browser: Browser, at: Where, traces: list[Trace]
) -> None:
    at("#?q=GIFT_card%20postcode")
    found = [
        trace
        for trace in traces
        if all(word in f"{trace.scene}{trace.kind}{_words(trace)}".lower() for word in ("gift_card", "postcode"))
    ]
    assert 0 < len(found) < len(traces)
    assert browser.text("#count") == f"{len(found)} of 54 conversations"
    assert {text.lower() for text in browser.texts("#talk mark")} == {"gift_card", "postcode"}
    at("#?q=.*%5B(")  # no pattern but words
    assert browser.text("#count") == "0 of 54 conversations"
    assert "No conversation fits" in browser.text("#talk")
    assert browser.complaints() == []


def _words(trace: Trace) -> str:
    return " ".join(message["content"] for message in trace.messages[1:])


@needs_browser
def test_typing_searches_and_the_address_follows(browser: Browser, at: Where) -> None:
    at("")
    browser.press("/")
    browser.press("umbrella j")
    assert browser.run("document.activeElement.name") == "q"
    assert browser.run("document.querySelector('[name=q]').value") == "umbrella j"
    assert re.fullmatch(r"\d+ of 54 conversations", browser.text("#count"))
    assert "q=umbrella+j" in browser.run("location.hash")


@needs_browser
@pytest.mark.parametrize(
    ("field", "value", "keep"),
    [
        ("kind", "several", lambda trace: trace.kind == "several"),
        ("result", "success", lambda trace: trace.measured and trace.success),
        ("result", "not measured", lambda trace: not trace.measured),
        ("difficulty", "easy", lambda trace: "/easy/" in trace.scene),
        ("outcome", "out of turns", lambda trace: trace.outcome == "out_of_turns"),
        ("rule", "confirm_writes", lambda trace: "confirm_writes" in trace.violations),
        ("rule", "(any)", lambda trace: bool(trace.violations)),
    ],
)
def test_filters(
    browser: Browser, at: Where, traces: list[Trace], field: str, value: str, keep: Callable[[Trace], bool]
) -> None:
    at("")
    browser.choose(field, value)
    number = sum(map(keep, traces))
    assert 0 < number < 54
    assert len(browser.texts("#list a")) == number
    address = browser.run("location.hash")
    at(address)  # as a link to the same view
    assert len(browser.texts("#list a")) == number


@needs_browser
@pytest.mark.parametrize(
    ("order", "key"), [("worst", "total"), ("best", "total"), ("longest", "steps"), ("scene", "scene")]
)
def test_orders(browser: Browser, at: Where, traces: list[Trace], order: str, key: str) -> None:
    at(f"#?sort={order}&result=failure")
    ids: list[str] = browser.run("[...document.querySelectorAll('#list a')].map(a => a.dataset.id)")
    by_id = {f"{trace.scene}/{trace.trial}": trace for trace in traces}
    values = [getattr(by_id[each], key) for each in ids]
    values = [len(each) for each in values] if key == "steps" else values
    assert values == sorted(values, reverse=order in ("best", "longest"))
    assert len(values) > 5
    at(f"#?sort={order}")
    if key == "total":  # what was not measured has no return, and comes last
        assert browser.texts("#list .total:nth-child(2)")[-2:] == ["?", "?"]


@needs_browser
def test_j_and_k_walk_through_the_list(browser: Browser, at: Where) -> None:
    at("#?kind=several")
    ids = browser.run("[...document.querySelectorAll('#list a')].map(a => a.dataset.id)")

    def now() -> Any:
        return browser.run("document.querySelector('[aria-current]').dataset.id")

    assert now() == ids[0]
    browser.press("k")
    assert now() == ids[0]
    browser.press("jj")
    assert now() == ids[2]
    browser.press("k")
    assert now() == ids[1]
    assert browser.run("location.hash") == f"#{ids[1]}?kind=several"
    scene, _, trial = ids[1].rpartition("/")
    assert f"{scene}, trial {trial}" in browser.text("#talk")
    browser.click("[aria-label='Next conversation']")
    assert now() == ids[2]
    browser.press("j" * 99)
    assert now() == ids[-1]


@needs_browser
def test_a_click_opens_a_conversation_and_back_returns(browser: Browser, at: Where) -> None:
    at("#?sort=scene")
    first = browser.text("#talk .quiet")
    browser.click("#list li:nth-child(4) a")
    assert browser.text("#talk .quiet") != first
    browser.run("new Promise(done => {addEventListener('hashchange', () => setTimeout(done)); history.back()})")
    assert browser.text("#talk .quiet") == first


@needs_browser
def test_a_figure_leads_to_its_conversations(browser: Browser, at: Where, traces: list[Trace]) -> None:
    at("#?q=zzzz")
    browser.click("header a[href='#?kind=change_items']")
    assert len(browser.texts("#list a")) == sum(trace.kind == "change_items" for trace in traces)
    browser.click("header a[href='#?rule=confirm_writes']")
    assert len(browser.texts("#list a")) == sum("confirm_writes" in trace.violations for trace in traces)


@needs_browser
def test_a_link_to_a_conversation_leads_to_it_whatever_is_filtered(
    browser: Browser, at: Where, traces: list[Trace]
) -> None:
    trace = next(trace for trace in traces if trace.kind != "several")
    at(f"#{trace.scene}/{trace.trial}?kind=several&rule=nonsense")
    assert f"{trace.scene}, trial {trace.trial}" in browser.text("#talk")
    at("#no/such/scene/7?kind=nonsense&sort=nonsense")
    assert browser.text("#count") == "54 conversations"
    assert browser.complaints() == []


@needs_browser
def test_what_was_not_measured_says_why(browser: Browser, at: Where) -> None:
    at("#?result=not+measured")
    assert "Not measured: The endpoint is dead (openai:local): start it." in browser.text("#talk .warning")


@needs_browser
def test_the_system_message_is_folded(browser: Browser, at: Where, traces: list[Trace]) -> None:
    at("")
    assert browser.run("document.querySelector('#talk details').open") is False
    browser.click("#talk summary")
    assert browser.run("document.querySelector('#talk details').open") is True
    assert browser.texts("#talk details pre") == [traces[0].messages[0]["content"]]


@needs_browser
@pytest.mark.parametrize("width", [320, 700, 1280])
def test_nothing_reaches_beyond_the_window(browser: Browser, at: Where, width: int) -> None:
    browser.size(width, 900)
    at("")
    wide = browser.run("document.documentElement.scrollWidth")
    browser.size(1280, 900)
    assert wide <= width


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(browser: Browser, at: Where, scheme: str) -> None:
    """WCAG's contrast of 4.5 for all text, in both schemes."""
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    at("#?rule=(any)")
    low = browser.run(CONTRAST)
    browser.send("Emulation.setEmulatedMedia", features=[])
    assert low == []


CONTRAST = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const color = rgb(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    const words = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!words || node.closest("script, noscript, button:disabled, option")) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${node.tagName}.${node.className}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(low)];
})()"""


@needs_browser
def test_every_field_and_button_has_a_name(browser: Browser, at: Where) -> None:
    at("")
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "link", "searchbox", "combobox", "textbox", "navigation", "article")
    nodes = [node for node in tree if not node["ignored"] and node["role"]["value"] in roles]
    assert len(nodes) > 60
    assert [node for node in nodes if not node["name"]["value"].strip()] == []
    assert browser.run("[...document.querySelectorAll('h1,h2,h3')].map(h => h.tagName)[0]") == "H1"


def hostile() -> list[Trace]:
    """Conversations of which every text attacks the page."""
    found = []
    for number, text in enumerate(HOSTILE):
        action = json.dumps({"type": text, text: [text], "message": text})
        paid = {"goal": 0.0, text: -0.5}
        facts = [{"kind": "violation", "rule": text, "why": text, "term": "conduct", "words": [f"[{text}] {text}"]}]
        step = Step(action, -0.5, paid, facts, violations=[text])
        messages = [
            {"role": "system", "content": text},
            {"role": "user", "content": text},
            {"role": "assistant", "content": action if number % 2 else text},
            {"role": "user", "content": f"[{text}] {text}\n{text}"},
        ]
        found.append(
            Trace(
                "Own/Env-v0",
                f"own {text}",
                0,
                HOSTILE[0],
                {},
                {"store": HOSTILE[1]},
                f"{text} {number % 3}",
                1,
                [],
                messages,
                [step],
                paid,
                -0.5,
                text,
                False,
                error=text if number % 3 == 2 else "",
            )
        )
    return found


@needs_browser
@pytest.mark.parametrize("guarded", [True, False], ids=["as it is", "without the content policy"])
def test_what_a_conversation_holds_is_text_and_nothing_else(browser: Browser, tmp_path: Path, guarded: bool) -> None:
    traces = hostile()
    text = page(Report.of(traces), traces)
    if not guarded:  # the escaping alone must hold
        text, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        assert count == 1
    path = tmp_path / "hostile.html"
    path.write_text(text, encoding="utf-8")
    for trace in (*traces, None):
        browser.open(path, f"#{quote(trace.scene)}/0?q=script" if trace else "")
        assert browser.complaints() == []
        assert browser.run("window.pwned === undefined") is True
        assert browser.run("document.querySelectorAll('script, img, iframe, object, [onerror]').length") == 2
        assert browser.run("document.getElementById('list').children.length") > 0
    assert browser.text("#count") == f"{len(traces)} conversations"
    browser.choose("rule", HOSTILE[1])
    assert browser.texts("#list a b") == [f"{HOSTILE[1]} 1".replace("_", " ")]
    assert browser.text("#talk .customer p") == HOSTILE[1]
    assert browser.run("window.pwned === undefined") is True


@needs_browser
def test_without_scripts_the_figures_are_there(browser: Browser, at: Where) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    browser.send("Page.navigate", url="about:blank")
    try:
        at("")
        assert "By kind" in browser.text("header")
        assert "need JavaScript" in browser.text("noscript")
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


@given(st.lists(st.text(max_size=30), max_size=8))
def test_embedded_data_is_json_that_no_parser_of_html_can_leave(texts: list[str]) -> None:
    traces = [
        Trace("E", text, 0, "p", {}, {}, text, 1, [], [{"role": "user", "content": text}], [], {}, 0.0, "closed", True)
        for text in (*texts, *HOSTILE)
    ]
    data = embedded(traces)
    assert not set(data) & set("<>&\u2028\u2029")
    data.encode("utf-8")
    assert len(json.loads(data)["talks"]) == len(traces)


def test_the_page_names_no_other_place(traces: list[Trace]) -> None:
    text = page(Report.of(traces), traces)
    assert not re.search(
        r"""(?:src|href|action)\s*=\s*["']?(?!#|["'])|@import|url\(|https?://""", text.partition("<script")[0]
    )
    assert "default-src 'none'" in text


def test_of_many_conversations_the_worst_and_a_sample_are_shown(tmp_path: Path, traces: list[Trace]) -> None:
    report = Report.of(traces)
    write_page(tmp_path / "a.html", report, iter(traces), limit=20)
    write_page(tmp_path / "b.html", report, reversed(traces), limit=20)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "20 of 54 conversations are in this page: the worst, and a sample of the rest." in text
    assert _held(text) == _held((tmp_path / "b.html").read_text(encoding="utf-8"))
    worst = sorted((trace for trace in traces if trace.measured), key=lambda trace: trace.total)[:5]
    assert {trace.total for trace in worst} <= {talk["total"] for talk in _talks(text)}
    assert any(talk["result"] == "not measured" for talk in _talks(text))
    assert any(talk["result"] == "success" for talk in _talks(text))


def _talks(text: str) -> list[dict[str, Any]]:
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert data
    talks: list[dict[str, Any]] = json.loads(data[1])["talks"]
    return talks


def _held(text: str) -> set[tuple[str, int]]:
    return {(talk["scene"], talk["trial"]) for talk in _talks(text)}


@given(st.lists(st.floats(-1, 1), max_size=60), st.integers(1, 70))
def test_the_choice_is_of_the_right_size_and_holds_the_worst(totals: list[float], limit: int) -> None:
    made = [
        Trace("E", f"s{number}", 0, "p", {}, {}, "", 1, [], [], [], {}, total, "closed", False)
        for number, total in enumerate(totals)
    ]
    kept, total = chosen(made, limit)
    assert (len(kept), total) == (min(limit, len(made)), len(made))
    assert len({trace.key for trace in kept}) == len(kept)
    half = sorted(totals)[: (limit + 1) // 2]
    assert sorted(trace.total for trace in kept)[: len(half)] == half or len(made) <= limit


@pytest.mark.parametrize("limit", [0, -1, True, 2.5])
def test_a_page_of_nothing_is_an_error(tmp_path: Path, limit: Any) -> None:
    with pytest.raises(BadArgument, match=r"limit=.* must be a whole number from 1 up"):
        write_page(tmp_path / "a.html", Report("E", "p", {}, [], []), [], limit)


def test_nothing_measured_still_makes_a_page(traces: list[Trace]) -> None:
    broken = [trace for trace in traces if trace.error]
    text = page(Report.of(broken), broken)
    assert "2 of 2 episodes were not measured" in text
    assert "The endpoint is dead" in text


def test_a_megabyte_of_babble_is_cut(traces: list[Trace]) -> None:
    long = msgspec.structs.replace(traces[0], messages=[{"role": "user", "content": "x" * 10**6}], steps=[])
    text = page(Report.of([long]), [long])
    assert len(text) < 200_000
    assert "(and 980,000 more characters)" in text
