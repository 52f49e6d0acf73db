"""The transcript for eyes: `ansi`, `human` and `rgb_array`."""

import builtins
import json
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import stateset_gym  # noqa: F401
from stateset_gym.envs.blocks import wrap
from stateset_gym.envs.render import Renderer

SCENE = "Echo-v0/train/hard/000007"


def agent(action):
    return {"role": "assistant", "content": action if isinstance(action, str) else json.dumps(action)}


def user(content):
    return {"role": "user", "content": content}


TALK = [
    {"role": "system", "content": "Serve the customer.\nRule one.\nRule two."},
    user("Hi, please cancel my order."),
    agent({"type": "get_order", "order_id": "O8"}),
    user("[get_order] O8: pending"),
    agent("no JSON [bold red]here[/]"),
    user("[malformed] there is no JSON object\nAre you there?"),
]


@pytest.fixture
def echo():
    """Makes an Echo environment in which one word has been said."""

    def make(mode):
        env = gymnasium.make("StateSet/Echo-v0", difficulty="hard", render_mode=mode)
        env.reset(options={"scene": SCENE})
        env.step('{"type":"say","word":"nonsense"}')
        return env

    return make


def test_ansi_labels_who_speaks():
    assert Renderer("Shop").render("ansi", TALK, "a scene  turn 2 of 9").splitlines() == [
        "a scene  turn 2 of 9",
        "system    Serve the customer. (and 2 more lines)",
        "customer  Hi, please cancel my order.",
        'agent     {"type": "get_order", "order_id": "O8"}',
        "world     [get_order] O8: pending",
        "agent     no JSON [bold red]here[/]",
        "world     [malformed] there is no JSON object",
        "customer  Are you there?",
    ]


def test_ansi_of_an_environment_has_the_caption_and_every_word(echo):
    env = echo("ansi")
    text = env.render()
    assert text.startswith(f"{SCENE}  turn 1 of 3  return +0.00\n")
    messages = env.unwrapped.memory.person
    assert messages["word"] in text
    assert "nonsense" in text
    assert text == echo("ansi").render()


def test_long_json_is_laid_out_and_long_lines_are_wrapped():
    act = {"type": "propose", "action": {"type": "cancel", "id": "O8"}, "message": "word " * 40}
    lines = Renderer("Shop").render("ansi", [agent(act), user("x" * 250)], "").splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert '            "action": {"type": "cancel", "id": "O8"},' in lines
    assert "".join(lines).count("x") == 250


@pytest.mark.parametrize("width", [1, 7, 30])
@pytest.mark.parametrize("text", ["", "one", "a few words of a line", "  indented\n\nlines", "x" * 200, " " * 90 + "."])
def test_wrapping_loses_no_words(text, width):
    lines = wrap(text, width)
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert len(lines) >= len(text.split("\n"))


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
@pytest.mark.parametrize("text", ["x" * 1_000_000, "[" * 300_000, " " * 500_000 + ".", '{"a":' * 100_000])
def test_a_very_long_text_is_drawn_in_reasonable_time(mode, text):
    assert len(Renderer("Shop").render(mode, [user(text), agent(text)], ""))


def test_nothing_that_an_agent_writes_moves_the_cursor_or_reverses_words(capsys):
    nasty = "\x1b[2J\x07\u202eevil\u2028\x85"
    text = Renderer("Shop").render("ansi", [agent(nasty), user(nasty)], "")
    renderer = Renderer("Shop")
    renderer.show([agent(nasty), user(nasty)], fresh=True)
    renderer.render("rgb_array", [agent(nasty)], "")
    for shown in (text, capsys.readouterr().out):
        assert "evil" in shown
        assert not set("\x1b\x07\u202e\u2028\x85") & set(shown)


def test_human_prints_each_message_once(capsys):
    renderer = Renderer("Shop")
    renderer.show(TALK[:3], fresh=True)
    first = capsys.readouterr().out
    assert "Shop" in first
    assert "please cancel my order" in first
    renderer.show(TALK, fresh=False)
    second = capsys.readouterr().out
    assert "please cancel my order" not in second
    assert "[bold red]here[/]" in second, "what looks like markup is shown as it is"
    renderer.show(TALK[:3], fresh=True)
    assert capsys.readouterr().out == first
    assert renderer.render("human", TALK, "") is None


def test_human_shows_a_branch_from_its_beginning(capsys):
    renderer = Renderer("Shop")
    renderer.show(TALK, fresh=True)
    capsys.readouterr()
    renderer.show(TALK[:2], fresh=False)
    assert "please cancel my order" in capsys.readouterr().out


def test_human_follows_an_environment(echo, capsys):
    env = echo("human")
    out = capsys.readouterr().out
    assert "nonsense" in out
    assert env.unwrapped.memory.person["word"] in out
    assert env.render() is None
    env.close()


def test_human_does_not_fail_where_the_terminal_lacks_a_character():
    code = (
        "from stateset_gym.envs.render import Renderer;"
        "Renderer('Shop').show([{'role': 'user', 'content': 'caf\\u00e9 \\u6f22'}], fresh=True)"
    )
    env = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert "caf? ?" in done.stdout


def test_the_picture_is_one_of_a_fixed_size_and_the_same_each_time(echo):
    frames = [echo("rgb_array").render() for _ in range(2)]
    assert frames[0].dtype == np.uint8
    assert frames[0].shape == (720, 960, 3)
    assert np.array_equal(*frames)


def test_the_picture_shows_the_newest_words_and_scrolls():
    def drawn(messages):
        return Renderer("Shop").render("rgb_array", messages, "")

    many = [user(f"message number {i}") for i in range(40)]
    assert np.array_equal(drawn(many), drawn(many[10:])), "what has scrolled off leaves no trace"
    assert not np.array_equal(drawn(many), drawn([*many[:-1], user("another end")]))
    assert not np.array_equal(drawn(many), drawn([*many[:-1], agent("message number 39")]))
    foot = drawn(many)
    assert (foot[-8:] == foot[-1, 0]).all(), "the newest is drawn to its end"
    assert (foot[-50:-12] != foot[-1, 0]).any(), "at the bottom"


def test_the_picture_replaces_what_the_font_lacks():
    def drawn(text):
        return Renderer("Shop").render("rgb_array", [user(text)], "")

    assert np.array_equal(drawn("caf\u00e9 \u2014 na\u00efve"), drawn("cafe - naive"))
    assert np.array_equal(drawn("\u6f22"), drawn("\u5b57"))
    assert not np.array_equal(drawn("\u6f22"), drawn(""))


def test_a_picture_without_pillow_names_the_remedy(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "PIL" or name.endswith(".drawing")]:
        monkeypatch.delitem(sys.modules, name)
    plain = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "PIL":
            raise ModuleNotFoundError("No module named 'PIL'", name="PIL")
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(gymnasium.error.DependencyNotInstalled, match=r'pip install "stateset-gym\[render\]"'):
        Renderer("Shop").render("rgb_array", TALK, "")


def test_importing_imports_no_drawing_library():
    code = "import sys, stateset_gym.envs.echo.env; print([m for m in ('rich', 'PIL', 'moviepy') if m in sys.modules])"
    env = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == "[]"


def test_rendering_without_a_mode_warns():
    env = gymnasium.make("StateSet/Echo-v0").unwrapped
    env.reset(seed=0)
    with pytest.warns(UserWarning, match=r"without a render_mode"):
        assert env.render() is None
