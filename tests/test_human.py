"""A person at a terminal: what is typed becomes the action that is meant, and nothing else spends a turn."""

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import stateset_gym  # noqa: F401
from stateset_gym import policies
from stateset_gym.envs.actions import ActionSet
from stateset_gym.envs.memory import Memory
from stateset_gym.envs.parse import Parser
from stateset_gym.envs.spaces import JSON
from stateset_gym.policies import human, registry
from stateset_gym.policies.human.form import YES_OR_NO, Form, Offer, Question
from stateset_gym.policies.human.known import Known
from stateset_gym.policies.human.typed import Words, completions

DESK = "StateSet/CustomerService-v0"
ECHO = "StateSet/Echo-v0"
TRIAGE = "StateSet/TicketTriage-v0"
IDS = (ECHO, DESK, TRIAGE)
PATH = re.compile(r"\s+([\w.\[\]]+)")


def wide() -> Console:
    return Console(file=io.StringIO(), width=100, highlight=False)


def reading(lines: Iterable[str]) -> Callable[[str], str]:
    """Types the lines, and then no more."""
    waiting = iter(lines)

    def read(prompt: str) -> str:
        line = next(waiting, None)
        if line is None:
            raise EOFError
        if line == "^C":
            raise KeyboardInterrupt
        return line

    return read


def game(env_id: str, scene: Any, *lines: str, **arguments: Any) -> tuple[policies.Episode, str]:
    """Play with these lines, and read what was shown."""
    console, read = wide(), reading(lines)
    prompts: list[str] = []

    def asked(prompt: str) -> str:
        prompts.append(prompt)
        return read(prompt)

    episode = human.play(env_id, scene, console=console, input=asked, **arguments)
    assert isinstance(console.file, io.StringIO)
    return episode, "\n".join([*prompts, console.file.getvalue()])


class Typist:
    """Types given actions field by field, as the prompts ask for them."""

    def __init__(self, actions: Iterable[Any], quoted: bool) -> None:
        self._actions = iter([json.loads(msgspec.json.encode(action)) for action in actions])
        self._quoted = quoted
        self.lines: list[str] = []

    def __call__(self, prompt: str) -> str:
        line = self._answer(prompt)
        self.lines.append(line)
        assert len(self.lines) < 5000, self.lines[-10:]
        return line

    def _answer(self, prompt: str) -> str:
        if prompt.startswith("turn"):
            self._action = next(self._actions)
            self._lists: dict[str, int] = {}
            return str(self._action["type"])
        found = PATH.match(prompt)
        assert found, prompt
        path = found[1]
        value = at(self._action, path)
        if "(y/n)" in prompt:  # whether the list goes on
            self._lists[path] = self._lists.get(path, 0) + 1
            return "y" if self._lists[path] < len(value) else ""
        if isinstance(value, dict):
            return str(value.get("type", ""))
        if isinstance(value, list):
            return ", ".join(map(self._text, value)) or "[]"
        return "" if value is None else self._text(value)

    def _text(self, value: Any) -> str:
        plain = isinstance(value, str) and not self._quoted
        return value if plain else json.dumps(value)


def at(value: Any, path: str) -> Any:
    """What stands at a path; `None` where nothing does."""
    for key in re.findall(r"\w+", path):
        value = value[int(key)] if key.isdecimal() else value.get(key)
    return value


@pytest.mark.parametrize("difficulty", ["easy", "normal", "hard"])
@pytest.mark.parametrize("env_id", IDS)
def test_the_experts_actions_typed_field_by_field_are_the_experts_actions(env_id: str, difficulty: str) -> None:
    env: Any = gymnasium.make(env_id, difficulty=difficulty)
    for number in range(24):
        scene = env.unwrapped.pool[number * 101]
        expert = policies.rollout(policies.make("expert", env), env, scene)
        typist = Typist(expert.actions, quoted=number % 2 == 0)
        person = policies.make("human", env, console=wide(), input=typist)
        played = policies.rollout(person, env, scene)
        assert played.actions == expert.actions, (scene, typist.lines)
        assert played.total == 1


def sampled(env_id: str) -> Iterator[tuple[ActionSet, Any]]:
    """Any valid actions, as the space samples them; a list of objects that is empty can only be typed as JSON."""
    actions = registry.kind_of(env_id).parts.actions
    space = JSON(actions.schema, seed=7)
    for _ in range(400):
        sample = space.sample()
        if sample.get("claims") != []:
            yield actions, sample


@pytest.mark.parametrize("env_id", IDS)
def test_any_action_can_be_typed_whatever_is_offered(env_id: str) -> None:
    offers = [Offer("1"), Offer("O1", "pending"), Offer("yes")]
    for actions, sample in sampled(env_id):
        parser = Parser(actions)
        meant: Any = parser.parse(sample)
        typist = Typist([meant], quoted=True)
        typist("turn 1")

        def ask(question: Question, typist: Typist = typist) -> str:
            assert question.wrong == ""
            return typist(f"  {question.path}: {'(y/n)' * (question.kind == YES_OR_NO)}")

        def offered(path: str, node: Any, beside: Any) -> list[Offer]:
            return [] if "properties" in node else offers

        form = Form(actions, ask, offered)
        assert parser.parse(form.fill(sample["type"])) == meant


WORD: dict[str, Any] = {"words": ["amber", "2"], "asks": ["say", "say"]}


def test_a_game_is_played_to_its_score() -> None:
    episode, output = game(ECHO, WORD, "say", "", "say", '"2"')
    assert (episode.total, episode.success) == (1, True)
    for line in (
        "Say amber.",
        "turn 1, 2 left",
        "outcome   success",
        "return    1.00 = goal +1.00",
        "turns     2 (par 2)",
    ):
        assert line in output
    assert "flawless  1.00 in 2 turns" in output


def test_the_score_tells_what_was_lost_and_what_could_have_been() -> None:
    scene = "CustomerService-v0/train/normal/000012"
    episode, output = game(DESK, scene, 'get_order "O1"', "{}", "!", "cancel_order O1 mistake", "no", "close", "")
    assert not episode.success
    assert episode.violations
    assert episode.malformed == 1
    assert "outcome   no success, closed" in output
    assert f"return    {episode.total:.2f} = " in output
    assert "broken rules" in output
    assert "malformed once" in output
    assert "flawless  1.00 in 7 turns" in output
    assert f"stateset-gym show {scene}" in output


def test_only_what_is_new_is_shown() -> None:
    _, output = game(ECHO, WORD, "say amber", "say 2")
    assert output.count("Say amber.") == output.count('"word": "amber"') == output.count("Say 2.") == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sya", "'sya' is no action. Did you mean say?"),
        ("hello there", "'hello' is no action. ? lists them."),
        ('{"type": "say"}', "`word` is missing"),
        ('{"type": "say", "word": 3}', "`word` is 3; it must be a string"),
        ("{oops", "there is no JSON object"),
        ("more=1 say", "'more=1' is no action"),
        ("say less=1 word=amber", "say has no use for 'less=1'; ? say shows its fields."),
        ("do", "The customer has agreed to nothing"),
        ("!", "There is nothing to insist on"),
        ("", "Type the name of an action"),
        ("^C", "Type quit to end the game."),
        ("back", ""),
    ],
)
def test_what_is_no_action_is_told_and_spends_no_turn(line: str, told: str) -> None:
    episode, output = game(ECHO, WORD, line, "say amber", "say 2")
    assert (episode.turns, episode.total) == (2, 1)
    assert told in output


def test_who_insists_is_let_do_it() -> None:
    episode, output = game(ECHO, WORD, '{"type": "say"}', "!", "!what?")
    assert episode.actions == ['{"type": "say"}', "what?"]
    assert episode.malformed == 2
    assert "Nothing was sent; ! sends it all the same." in output


def test_a_value_can_be_insisted_on() -> None:
    scene = "TicketTriage-v0/train/easy/000001"
    episode, output = game(TRIAGE, scene, "triage", "nowhere", "!nowhere", "high", "", "", "many", "12", "")
    assert episode.actions[0] == {"type": "triage", "queue": "nowhere", "priority": "high", "amount_cents": 12}
    assert 'the value is "nowhere"; it must be one of: account, billing' in output
    assert 'the value is "many"; it must be an integer' in output
    assert episode.malformed == 1


def test_an_action_that_is_insisted_on_and_valid_is_played_as_such() -> None:
    episode, _ = game(ECHO, WORD, '!{"type": "say", "word": "amber"}', "say 2")
    assert episode.total == 1


@pytest.mark.parametrize("leave", ["back", "^C"])
def test_an_action_can_be_left_while_it_is_typed(leave: str) -> None:
    episode, output = game(ECHO, WORD, "say", leave, "say amber", "say 2")
    assert (episode.turns, episode.total) == (2, 1)
    assert "Left; nothing was done." in output


@pytest.mark.parametrize("lines", [(), ("quit",), ("say",), ("say", "quit"), ("exit",), ('{"type":',)])
def test_the_end_of_the_input_ends_the_game_with_what_was_reached(lines: tuple[str, ...]) -> None:
    episode, output = game(ECHO, WORD, "say amber", *lines)
    assert (episode.turns, episode.over) == (1, False)
    assert "outcome   broken off" in output
    assert "flawless  1.00 in 2 turns" in output


def test_a_run_is_stopped_as_by_ctrl_c() -> None:
    env = gymnasium.make(ECHO)
    with pytest.raises(KeyboardInterrupt):
        policies.rollout(policies.make("human", env, console=wide(), input=reading([])), env)


def test_a_json_object_may_go_on_over_lines() -> None:
    episode, _ = game(ECHO, WORD, "{", '"type": "say",', '"word": "amber"', "}", '{"type": "say", "word": "2"}')
    assert episode.total == 1


def test_the_words_that_are_commands_can_be_said() -> None:
    scene = {"words": ["back", "?", "quit"], "asks": ["say"] * 3}
    episode, _ = game(ECHO, scene, "say", '"back"', "say ?", "say", '"quit"')
    assert episode.total == 1


def test_help_names_the_actions_their_fields_and_the_rules() -> None:
    lines = ("?", "? refuse", "rules", "ask", "?", "memory", "back", "memory")
    _, output = game(DESK, "CustomerService-v0/train/easy/000003", *lines)
    for line in ("find_customer [email]", "refuse request rule [message]", "Commands", "Decline a request"):
        assert line in output
    assert "Before each change, propose that very action" in output
    assert "field: text. back leaves this action" in output
    assert output.count("request 0 (open)") == 2


def test_several_words_are_no_id() -> None:
    episode, output = game(DESK, "CustomerService-v0/train/easy/000003", "get_order O1 O2", "get_order O1")
    assert "get_order has no use for 'O2'" in output
    assert [action.order_id for action in episode.actions] == ["O1"]


def agreed_scene() -> tuple[str, list[Any]]:
    """A scene in which something is proposed, and what the expert does in it."""
    env: Any = gymnasium.make(DESK, kinds=["change_address"])
    scene = env.unwrapped.pool[0]
    return scene, policies.rollout(policies.make("expert", env), env, scene).actions


def test_what_was_agreed_is_done_in_a_word() -> None:
    scene, actions = agreed_scene()
    lines = [msgspec.json.encode(action).decode() for action in actions[:-2]]
    episode, output = game(DESK, scene, *lines, "do", "close Good bye.")
    assert episode.actions[:-1] == actions[:-1]
    assert episode.actions[-1].message == "Good bye."
    assert episode.total == 1
    assert "Agreed, and yet to be done" in output


def test_an_address_that_was_told_is_chosen_by_its_number() -> None:
    scene, actions = agreed_scene()
    lines = [msgspec.json.encode(action).decode() for action in actions[:-3]]
    order = actions[-2].order_id
    episode, _ = game(DESK, scene, *lines, "propose change_address", order, "1", "do", "close", "")
    assert episode.total == 1


def test_a_line_is_enough() -> None:
    scene = "CustomerService-v0/train/easy/000003"
    lines = ("ask email", "ask email What's your address?", 'find first_name=Ada postcode=1 last_name="de Moss"')
    episode, _ = game(DESK, scene, *lines, "inform O1 status pending Here it is")
    assert [json.loads(msgspec.json.encode(action)) for action in episode.actions] == [
        {"type": "ask", "field": "email"},
        {"type": "ask", "field": "email", "message": "What's your address?"},
        {"type": "find_customer", "first_name": "Ada", "last_name": "de Moss", "postcode": "1"},
        {"type": "inform", "claims": [{"about": "O1", "field": "status", "value": "pending"}], "message": "Here it is"},
    ]


@given(st.text())
def test_no_line_is_too_strange(line: str) -> None:
    episode, _ = game(ECHO, WORD, line, "back", "back")
    assert episode.turns <= 1


@pytest.mark.parametrize("difficulty", ["normal", "hard"])
@pytest.mark.parametrize("env_id", IDS)
def test_nothing_is_offered_that_was_not_read(env_id: str, difficulty: str) -> None:
    env: Any = gymnasium.make(env_id, difficulty=difficulty)
    kind = registry.kind_of(env_id)
    fields = {
        (name, json.dumps(part)): part
        for definition in kind.parts.actions.schema["$defs"].values()
        for name, part in definition["properties"].items()
    }
    offered = 0
    for number in range(6):
        expert: Any = policies.make("expert", env)
        episode = policies.rollout(expert, env, env.unwrapped.pool[number])
        text = "\n".join(message["content"] for message in episode.messages if message["role"] == "user")
        known = Known(kind.parts.actions, expert.memory, text)
        for (name, _), part in fields.items():
            for offer in known.offers(name, part, {}):
                offered += 1
                assert all(str(value) in text for value in _texts(offer.value)), (name, offer)
    assert offered


def _texts(value: Any) -> list[Any]:
    return [*value.values()] if isinstance(value, dict) else [value]


def test_ids_are_offered_by_what_they_are_ids_of() -> None:
    memory = Memory()
    memory.seen = {
        "C5": {"first_name": "Ada", "orders": ["O7", "O8"], "payment_methods": {"M3": {"kind": "paypal"}}},
        "O7": {"status": "pending", "items": [{"item": "I1", "product": "P2", "name": "urban mug"}]},
        "P2": {"name": "urban mug", "variants": ["I1", "I4"]},
        "I4": {"product": "P2", "options": {"color": "red"}, "price": 700, "available": False},
    }
    known = Known(registry.kind_of(DESK).parts.actions, memory, json.dumps(memory.seen))
    text: dict[str, Any] = {"type": "string"}

    def offers(path: str, **beside: Any) -> list[str]:
        return [f"{offer.text}: {offer.gloss}" for offer in known.offers(path, text, beside)]

    assert offers("action.order_id") == ["O7: pending, urban mug", "O8: "]
    assert offers("new_item_ids") == ["I1: urban mug", "I4: red, 700, not available"]
    assert offers("payment_method_id") == ["M3: paypal"]
    assert offers("customer_id") == ["C5: Ada"]
    assert offers("claims[0].field", about="I4") == ["product: ", "price: ", "available: "]
    assert offers("claims[0].value", about="I4", field="available") == ["false: "]


def complete(line: str) -> list[str]:
    actions = registry.kind_of(DESK).parts.actions
    word = line.rpartition(" ")[2]
    return [text for text in completions(line, actions, ["memory"], _offers) if text.startswith(word)]


def _offers(path: str, node: Any, beside: Any) -> list[Offer]:
    return [Offer("O1"), Offer("two words")] if path.endswith("order_id") else []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("can", ["cancel_order"]),
        ("mem", ["memory"]),
        ("cancel_order ", ["O1", '"two words"']),
        ("cancel_order O1 no", ["no_longer_needed"]),
        ("propose cancel_order O1 ord", ["ordered_by_mistake"]),
        ("propose canc", ["cancel_order"]),
        ("refuse rule=not_pending can", ["cancel_order"]),
        ("inform O1 status pending ", []),
        ("ask nonsense ", []),
        ("nonsense ", []),
        ("? ref", ["refuse"]),
        ("list_products ", []),
    ],
)
def test_tab_knows_what_comes_next(line: str, expected: list[str]) -> None:
    found = complete(line)
    assert found == expected or (line == "ask nonsense " and "email" in found)


def test_words_answer_by_name_and_in_order() -> None:
    words = Words('b=2 one "a b" rest of it')
    assert words.take(Question("x.b", "text")) == "2"
    assert words.take(Question("a", "text")) == "one"
    assert words.take(Question("c", "text")) == '"a b"'
    assert words.take(Question("message", "text", last=True)) == "rest of it"
    assert words.take(Question("d", "text")) is None
    assert words.left == ""


def play_command(scene: str) -> list[str]:
    code = f"import stateset_gym; from stateset_gym.policies.human import play; play({DESK!r}, {scene!r})"
    return [sys.executable, "-c", code]


def test_a_game_can_be_piped(tmp_path: Path) -> None:
    scene, actions = agreed_scene()
    env = gymnasium.make(DESK)
    typist = Typist(actions, quoted=False)
    policies.rollout(policies.make("human", env, console=wide(), input=typist), env, scene)
    text = "\n".join(typist.lines) + "\n"
    done = subprocess.run(play_command(scene), input=text, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "outcome   success, closed" in done.stdout
    assert "> close" in done.stdout  # what was typed is shown


class Terminal:
    """A game in a terminal of its own."""

    def __init__(self, scene: str) -> None:
        self.output = self._ahead = ""
        own, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        python, option, code = play_command(scene)
        code = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {code}"  # for Ctrl-C
        self.process = subprocess.Popen(
            [python, option, code], start_new_session=True, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        self._file = own

    def until(self, *texts: str) -> str:
        """Read until these have been shown, in this order; what was shown since the last time."""
        start = len(self.output) - len(self._ahead)
        for text in texts:
            deadline = time.monotonic() + 30
            while text not in self._ahead:
                assert time.monotonic() < deadline, self.output[start:]
                if select.select([self._file], [], [], 1)[0]:
                    self._read()
            self._ahead = self._ahead.partition(text)[2]
        return self.output[start : len(self.output) - len(self._ahead)]

    def _read(self) -> None:
        try:
            new = os.read(self._file, 4096).decode(errors="replace")
        except OSError:  # the other side is closed
            time.sleep(0.05)
            return
        self.output += new
        self._ahead += new

    def type(self, text: str) -> None:
        if text == "\x03":
            # Between the prompt and its wait for a key, readline notes an interruption and waits all the same.
            time.sleep(0.5)
        os.write(self._file, text.encode())

    def close(self) -> int:
        code = self.process.wait(60)
        os.close(self._file)
        return code


def test_a_game_in_a_terminal_completes_and_can_be_interrupted() -> None:
    pytest.importorskip("readline")
    terminal = Terminal("CustomerService-v0/train/easy/000003")
    terminal.until("turn 1, ", "left > ")
    terminal.type("as\tem\t\n")
    assert '"field": "email"' in terminal.until("customer", "turn 2, ", "left > ")
    terminal.type("\x03")
    terminal.until("Type quit to end the game.", "left > ")
    terminal.type("refuse\n")
    terminal.until("request: ")
    terminal.type("cancel\t\n")
    terminal.until("rule: ")
    terminal.type("\x03")
    terminal.until("Left; nothing was done.", "left > ")
    terminal.type("\x04")
    assert "broken off" in terminal.until("flawless")
    assert terminal.close() == 0
    assert "Traceback" not in terminal.output
    assert "\x1b[" in terminal.output  # in colour
