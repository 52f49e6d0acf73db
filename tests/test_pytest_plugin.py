"""The pytest plug-in: installed from the wheel, in projects of its own, with real pytest runs."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stateset_gym_pytest.talk import Answer, Conversation, opened

from stateset_gym import policies
from stateset_gym.envs.errors import ResetNeeded

ROOT = Path(__file__).parents[1]
DESK = "StateSet/CustomerService-v0"
COVERAGE = importlib.util.find_spec("pytest_cov") is not None
CASSETTES = ROOT / "examples" / "agent_repo" / "tests" / "cassettes" / "test_hosted"
HEAD = f"""
import pytest
from stateset_gym import policies
from stateset_gym.envs.errors import BadArgument
from stateset_gym.rewards.errors import InfrastructureError

DESK = "{DESK}"
"""


class Run(NamedTuple):
    """A pytest run: how it ended, what it printed, and test -> (how it ended, what is said about it)."""

    code: int
    output: str
    tests: dict[str, tuple[str, str]]

    def count(self, how: str) -> int:
        return sum(ended == how for ended, _ in self.tests.values())


Runner = Callable[..., Run]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel of this checkout is installed."""
    base = tmp_path_factory.mktemp("plug-in")
    left_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests", "docs", "benchmarks")
    shutil.copytree(ROOT, base / "checkout", ignore=left_out)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    flags = ["--quiet", "--no-deps", "--no-index"]
    for command in (["wheel", "--no-build-isolation", "-w", "made", "."], ["install", "-t", "../site"]):
        made = map(str, (base / "checkout" / "made").glob("*.whl")) if command[0] == "install" else ()
        done = subprocess.run([*pip, *command, *flags, *made], cwd=base / "checkout", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return base / "site"


@pytest.fixture(scope="module")
def run(site: Path) -> Runner:
    """Run pytest in a folder, with what is installed there, warnings as errors."""

    def run(folder: Path, *arguments: str, command: tuple[str, ...] = ("-m", "pytest")) -> Run:
        outside = ("PYTEST_", "COV_", "OPENAI_")
        outer = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
        path = os.pathsep.join([str(site), *filter(None, [outer.get("PYTHONPATH")])])
        flags = ["-W", "error", "--strict-markers", "--junitxml=junit.xml", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [sys.executable, *command, *flags, *arguments],
            cwd=folder,
            env=outer | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Run(done.returncode, done.stdout + done.stderr, told(folder / "junit.xml"))

    return run


def told(file: Path) -> dict[str, tuple[str, str]]:
    """What a JUnit file tells of each test."""
    if not file.exists():
        return {}
    found = {}
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        parts = [part for part in case if part.tag in ("failure", "error", "skipped")]
        text = "\n".join(f"{part.get('message')}\n{part.text}" for part in parts)
        found[str(case.get("name"))] = (parts[0].tag if parts else "passed", text)
    return found


def project(folder: Path, **files: str) -> Path:
    """A project with these test files, and nothing of ours on top."""
    folder.mkdir(exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(HEAD + textwrap.dedent(text))
    return folder


def agent_repo(folder: Path) -> Path:
    """The example, somewhere else."""
    left_out = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info")
    return Path(shutil.copytree(ROOT / "examples" / "agent_repo", folder / "repo", ignore=left_out))


def edited(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_the_example_passes_and_its_coverage_is_whole(run: Runner, tmp_path: Path) -> None:
    done = run(agent_repo(tmp_path), *(["--cov=shop_agent", "--cov-report=term"] if COVERAGE else []))
    assert done.code == 0, done.output
    assert done.count("passed") > 20
    assert done.count("skipped") == 1
    if COVERAGE:
        assert re.findall(r"^shop_agent/agent.py +\d+ +(\d+)", done.output, re.MULTILINE) == ["1"]  # make(), for names


def test_the_example_can_be_read_where_it_was_copied_to() -> None:
    assert not [file for file in (ROOT / "examples" / "agent_repo").rglob("*.md") if "../" in file.read_text()]


def test_the_example_passes_in_processes_and_with_the_policy_of_the_command_line(run: Runner, tmp_path: Path) -> None:
    repo = agent_repo(tmp_path)
    done = run(repo, "-n", "2", "--stateset-policy", "shop_agent:make", "--stateset-trials", "2")
    assert done.code == 0, done.output
    assert done.count("passed") == len(done.tests) > 20


def test_a_broken_agent_fails_with_the_conversation(run: Runner, tmp_path: Path) -> None:
    repo = agent_repo(tmp_path)
    right = "self.identify() or self.read_order(request)"
    edited(repo / "shop_agent" / "agent.py", right, " or ".join(right.split(" or ")[::-1]))
    done = run(repo, "-n", "2", "--show-capture=no", "tests/test_evaluation.py", "tests/test_conversations.py")
    assert done.code == 1
    how, text = done.tests["test_what_it_serves_it_serves_reliably"]
    assert how == "failure"
    for part in (
        "report.success.lower > 0.9",
        "ShopAgent",
        "[authenticate_first]",
        '{"type": "get_order"',
        "customer ",
    ):
        assert part in text
        assert part in done.output
    # Also where the report is of a fixture for several tests, and where a single conversation was held.
    assert "[authenticate_first]" in done.tests["test_no_house_rule_is_broken_anywhere"][1]
    assert "[authenticate_first]" in done.tests["test_it_looks_the_customer_up_first"][1]


@pytest.fixture(scope="module")
def cases(run: Runner, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Many small tests, most of which must fail, in one run."""
    folder = project(tmp_path_factory.mktemp("cases"), test_cases=CASES)
    old = folder / "cassettes" / "test_cases" / "old.jsonl"
    old.parent.mkdir(parents=True)
    shutil.copy(CASSETTES / "test_it_answers_questions_about_orders.jsonl", old)
    return run(folder)


CASES = """
    class Dead(policies.Policy):
        def act(self, observation, facts):
            raise InfrastructureError("no answer", "at 127.0.0.1", "start the server.")

    def test_passes(evaluate_policy, conversation):
        assert evaluate_policy("expert", DESK, scenes=3).success.mean == 1
        conversation(DESK).say("nonsense")

    def test_report(evaluate_policy):
        report = evaluate_policy("random", DESK, scenes=3, kinds=["return_items"])
        assert report.success.lower > 0.9

    def test_talk(conversation):
        talk = conversation(DESK, scene="CustomerService-v0/test/easy/000006")
        talk.say({"type": "ask", "field": "email", "message": "And who are you?"})
        assert talk.success

    @pytest.fixture
    def begun(conversation):
        talk = conversation(DESK)
        talk.say("nonsense in a fixture")
        assert talk.over
        return talk

    def test_fixture(begun):
        pass

    def test_many(conversation):
        talk = conversation(DESK)
        talk.say("nonsense")
        assert not [talk.fork() for _ in range(4)]

    def test_message_alone(conversation):
        conversation(DESK).say("nonsense")
        pytest.fail("It is all wrong.", pytrace=False)

    @pytest.mark.xfail(strict=True)
    def test_unexpected(conversation):
        conversation(DESK).say("nonsense")

    def test_unmeasured(evaluate_policy):
        evaluate_policy(Dead(), DESK, scenes=3, trials=2)

    def test_unmeasured_is_allowed(evaluate_policy):
        assert len(evaluate_policy(Dead(), DESK, scenes=3, allow_unmeasured=3).not_measured) == 3

    def test_no_policy(evaluate_policy):
        evaluate_policy(env_id=DESK)

    def test_no_policy_for_a_talk(conversation):
        conversation(DESK).play()

    def test_no_environment(evaluate_policy):
        evaluate_policy("expert")

    def test_no_place(conversation):
        conversation()

    def test_no_mark(scene):
        pass

    def test_after_the_end(conversation):
        talk = conversation(DESK)
        talk.say({"type": "close"})
        talk.say({"type": "close"})

    def test_options_of_an_agent(conversation):
        conversation(DESK).play(Dead(), temperature=0)

    def test_wrong_argument(evaluate_policy):
        evaluate_policy("expert", DESK, kinds=["cancel"])

    def test_misspelt_argument(evaluate_policy):
        evaluate_policy("expert", DESK, scnes=3)

    def test_misspelt_argument_of_a_talk(conversation):
        conversation(DESK, dificulty="hard")

    def test_misspelt_agent(conversation):
        conversation(DESK).play("exprt")

    class Own(policies.Policy):
        def act(self, observation, facts):
            raise BadArgument("their own")

    def test_an_error_of_the_agent(evaluate_policy):
        evaluate_policy(Own(), DESK, scenes=1)

    def test_no_cassette(evaluate_policy):
        evaluate_policy("openai:some-model", DESK, scenes=1, cassette=True)

    def test_stale_cassette(evaluate_policy):
        text = {"style": "text"}
        evaluate_policy("openai:desk-model", DESK, kinds=["cancel_order"], scenes=1, cassette="old.jsonl", options=text)

    def test_broken_trace(conversation):
        talk = conversation(DESK)
        talk._episode.kind = 7
        assert talk.over
"""

SAID = {
    "test_report": ["report.success.lower > 0.9", "random", "return_items", "CustomerService-v0/test/easy/"],
    "test_talk": [
        "And who are you?",
        "by the test",
        "not over",
        "so far 1 turn (par",
        '{"type": "ask", "field": "email"}',
        "CustomerService-v0/test/easy/000006",
    ],
    "test_fixture": ["nonsense in a fixture", "[malformed]"],
    "test_many": ["... and 2 before these"],
    "test_message_alone": ["It is all wrong.", "[malformed]"],
    "test_unmeasured": ["6 of 6 episodes were not measured", "6 x no answer (at 127.0.0.1): start the server."],
    "test_no_policy": ["The test names no policy", "--stateset-policy=NAME"],
    "test_no_policy_for_a_talk": ["The test names no policy"],
    "test_no_environment": ["evaluate_policy needs an environment"],
    "test_no_place": ["conversation() needs an environment"],
    "test_no_mark": ["@pytest.mark.stateset(env="],
    "test_after_the_end": ["is over (closed)"],
    "test_options_of_an_agent": ["play() was given {'temperature': 0}"],
    "test_wrong_argument": ["'cancel' is not known: choose one of"],
    "test_misspelt_argument": ["scnes=3 is no argument"],
    "test_misspelt_argument_of_a_talk": ["dificulty='hard' is no argument"],
    "test_misspelt_agent": ["Policy 'exprt' does not exist"],
    "test_an_error_of_the_agent": ["their own", 'raise BadArgument("their own")'],
    "test_no_cassette": ["cassettes/test_cases/test_no_cassette.jsonl", "--stateset-record"],
    "test_stale_cassette": ["1 of 1 episodes were not measured", "pytest --stateset-record records it anew."],
    "test_broken_trace": ["assert False", "They cannot be shown: "],
}


@pytest.mark.parametrize("name", SAID)
def test_a_failure_says_what_is_wrong(cases: Run, name: str) -> None:
    how, text = cases.tests[name]
    assert how in ("failure", "error")
    for part in SAID[name]:
        assert part in text


def test_the_other_cases_pass(cases: Run) -> None:
    assert [name for name, (how, _) in cases.tests.items() if how == "passed"] == [
        "test_passes",
        "test_unmeasured_is_allowed",
    ]
    assert cases.tests["test_unexpected"][0] == "failure"
    assert len(cases.tests) == len(SAID) + 3


def test_our_own_code_is_no_part_of_a_wrong_use(cases: Run) -> None:
    for name in ("test_no_policy", "test_no_environment", "test_no_place", "test_no_mark", "test_no_cassette"):
        assert "stateset_gym_pytest" not in cases.tests[name][1]
    for name in SHORT:
        text = cases.tests[name][1].split("\n----", 1)[0]
        assert "evaluate.py" not in text
        assert "runs.py" not in text
        assert "registry.py" not in text
        assert "gymnasium" not in text
        assert len(text.splitlines()) < 20


SHORT = ("test_wrong_argument", "test_misspelt_argument", "test_misspelt_argument_of_a_talk", "test_misspelt_agent")


MARKS = {
    "positional": ("DESK", "give all by name"),
    "no_env": ("scenes=2", "name the environment"),
    "no_such_env": ("env='StateSet/Nothing-v0'", "Environment `Nothing` doesn't exist"),
    "no_such_argument": (
        "env=DESK, kind=['cancel_order']",
        "kind=['cancel_order'] is no argument. Did you mean: 'kinds'?",
    ),
    "no_such_argument_at_all": ("env=DESK, zzz=1", "zzz=1 is no argument: choose one of env, scenes, "),
    "no_such_kind": ("env=DESK, kinds=['cancel']", "'cancel' is not known: choose one of"),
    "a_text_of_kinds": ("env=DESK, kinds='cancel_order'", "kinds='cancel_order' is a string"),
    "no_such_difficulty": ("env=DESK, difficulty=['easy', 'harder']", "'harder' is not known"),
    "no_such_scene": ("env=DESK, scenes=['Nowhere']", "Scene 'Nowhere' is no scene's name"),
    "no_scenes": ("env=DESK, scenes=0", "scenes=0"),
    "no_such_store": ("env=DESK, store='nowhere.json'", "nowhere.json"),
}


@pytest.fixture(scope="module")
def marked(run: Runner, tmp_path_factory: pytest.TempPathFactory) -> Run:
    files = {
        f"test_{name}": f"""
            @pytest.mark.stateset({given})
            def test_it(conversation):
                pass
        """
        for name, (given, _) in MARKS.items()
    }
    files["test_takes_none"] = """
        @pytest.mark.stateset(env=DESK)
        def test_it():
            pass
    """
    return run(project(tmp_path_factory.mktemp("marks"), **files))


@pytest.mark.parametrize("name", MARKS)
def test_a_wrong_marker_is_told_at_collection(marked: Run, name: str) -> None:
    assert marked.code == 2
    said = next(text for test, (_, text) in marked.tests.items() if test.endswith(f"test_{name}"))
    assert MARKS[name][1] in said
    assert f"test_{name}.py::test_it: @pytest.mark.stateset: " in said
    assert "Traceback" not in said


def test_what_a_marker_takes_is_listed_once(marked: Run) -> None:
    said = next(text for test, (_, text) in marked.tests.items() if test.endswith("no_such_argument_at_all"))
    line = said.split("choose one of ", 1)[1].splitlines()[0]
    assert line.count("scenes") == 1


def test_a_marker_that_nothing_comes_of_is_told(marked: Run) -> None:
    assert "is marked with scenes, and takes none" in marked.output


def test_a_matrix_of_scenes(run: Runner, tmp_path: Path) -> None:
    text = """
        pytestmark = pytest.mark.stateset(env="StateSet/Echo-v0")

        @pytest.mark.stateset(env=DESK, kinds=["return_items", "cancel_order"], difficulty=["easy", "hard"], scenes=2)
        def test_matrix(conversation, scene):
            talk = conversation(max_turns=1)
            assert talk.scene == scene
            talk.say("nonsense")
            assert talk.outcome == "out_of_turns"

        @pytest.mark.stateset(env=DESK, scenes=[3, "CustomerService-v0/train/hard/000007"])
        def test_listed(scene):
            pass

        @pytest.mark.stateset(env=DESK, kinds={"return_items", "cancel_order"}, split="train", store=STORE, max_turns=2)
        def test_store(conversation):
            assert conversation().env.observe()["turns_left"] == 2

        def test_of_the_module(conversation):
            assert conversation().play("expert")[-1].success
            assert conversation(DESK).scene.startswith("CustomerService-v0/test/easy/")

        def test_plain():
            pass
    """
    folder = project(tmp_path, test_matrix=text.replace("STORE", repr(str(ROOT / "examples" / "shop.json"))))
    done = run(folder, "-n", "2")
    assert done.code == 0, done.output
    names = [*done.tests]
    assert len([name for name in names if name.startswith("test_matrix[")]) == 8
    for row in ("return_items-CustomerService-v0/test/easy/", "cancel_order-CustomerService-v0/test/hard/"):
        assert len([name for name in names if name.startswith(f"test_matrix[{row}")]) == 2
    listed = sorted(re.sub(r".*?\[\w+-", "", name)[:-1] for name in names if name.startswith("test_listed["))
    assert listed == ["CustomerService-v0/test/easy/000003", "CustomerService-v0/train/hard/000007"]
    assert len([name for name in names if re.match(r"test_store\[\w+-CustomerService-v0/train/easy/\d+@", name)]) == 2
    assert "test_plain" in names
    # One of them is found again by what it is called.
    chosen = next(name for name in names if "hard" in name)
    assert [*run(folder, f"test_matrix.py::{chosen}").tests] == [chosen]


def answers(file: Path) -> list[str]:
    """The lines of a cassette that hold answers; their order is that in which they came."""
    return sorted(line for line in file.read_text(encoding="utf-8").splitlines() if '"kind":"answer"' in line)


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="the package openai is not installed")
def test_cassettes_are_recorded_where_that_is_asked_for(run: Runner, tmp_path: Path) -> None:
    repo = agent_repo(tmp_path)
    shutil.rmtree(repo / "tests" / "cassettes")
    missing = run(repo, "tests/test_hosted.py")
    assert missing.count("passed") == 0
    assert not (repo / "tests" / "cassettes").exists()
    recorded = run(repo, command=("record.py",))
    assert recorded.code == 0, recorded.output
    for file in CASSETTES.iterdir():
        again = repo / "tests" / "cassettes" / "test_hosted" / file.name
        assert answers(again) == answers(file), "run examples/agent_repo/record.py"
    assert run(repo, "tests/test_hosted.py").count("passed") == 2


def test_the_files_of_cassettes(run: Runner, tmp_path: Path) -> None:
    text = """
        class TestThem:
            @pytest.mark.parametrize("word", ["a/b c"])
            def test_it(self, cassette, tmp_path, word):
                folder = pathlib.Path(__file__).parent / "cassettes" / "test_files"
                made = [cassette()["cassette"], cassette()["cassette"], cassette("own.jsonl")["cassette"]]
                names = ["TestThem.test_it-a-b-c.jsonl", "TestThem.test_it-a-b-c-2.jsonl", "own.jsonl"]
                assert made == [folder / name for name in names]
                assert cassette(tmp_path / "there.jsonl") == {"cassette": tmp_path / "there.jsonl", "record": True}
    """
    done = run(project(tmp_path, test_files="import pathlib\n" + textwrap.dedent(text)), "--stateset-record")
    assert done.code == 0, done.output


def test_nothing_is_loaded_that_no_test_asks_for(run: Runner, tmp_path: Path) -> None:
    text = """
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("stateset_gym")
            heavy = {"stateset_gym", "gymnasium", "numpy", "rich", "msgspec", "typer", "torch", "openai"}
            assert heavy & {*sys.modules} == set()
    """
    folder = project(tmp_path)
    (folder / "test_light.py").write_text(textwrap.dedent(text))
    done = run(folder)
    assert done.code == 0, done.output


def test_without_the_plug_in_all_is_as_if_it_were_not_there(run: Runner, tmp_path: Path) -> None:
    text = """
        def test_plain(pytestconfig):
            assert not pytestconfig.pluginmanager.has_plugin("stateset_gym")

        def test_asks(conversation):
            pass
    """
    done = run(project(tmp_path, test_plain=text), "-p", "no:stateset_gym")
    assert done.tests["test_plain"][0] == "passed"
    assert "fixture 'conversation' not found" in done.tests["test_asks"][1]


def test_a_number_of_trials_that_there_cannot_be(run: Runner, tmp_path: Path) -> None:
    done = run(project(tmp_path), "--stateset-trials=0")
    assert done.code == 4
    assert "--stateset-trials=0: give a whole number from 1 up." in done.output


@pytest.mark.skipif(not COVERAGE, reason="pytest-cov is not installed")
def test_coverage_of_this_package_is_what_it_is_without_the_plug_in(run: Runner, tmp_path: Path) -> None:
    text = """
        import gymnasium
        import stateset_gym

        def test_it():
            env = gymnasium.make("StateSet/Echo-v0")
            env.reset(seed=0)
            env.step({"type": "close"})
    """
    folder = project(tmp_path)
    (folder / "test_it.py").write_text(textwrap.dedent(text))
    (folder / ".coveragerc").write_text("[report]\ninclude = */envs/echo/*\n")
    flags = ("--cov=stateset_gym", "--cov-report=term")
    tables = [
        re.findall(r"echo/\w+\.py .*$", run(folder, *flags, *more).output, re.MULTILINE)
        for more in ((), ("-p", "no:stateset_gym"))
    ]
    assert len(tables[0]) == len([*(ROOT / "envs" / "echo").glob("*.py")])
    assert tables[0] == tables[1]


PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_modules_of_the_page_pass(run: Runner, tmp_path: Path) -> None:
    modules = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(modules) == 4
    folder = project(tmp_path)
    for number, text in enumerate(modules):
        (folder / f"test_page_{number}.py").write_text(text)
    done = run(folder)
    assert done.code == 0, done.output
    assert done.count("passed") == len(done.tests) == 5 + 8
    assert "test_no_rule_is_broken[cancel_order-CustomerService-v0/test/easy/000000]" in done.tests


def names_in(text: str) -> set[str]:
    return set(re.findall(r"`(-{0,2}[a-z][\w-]*)[^`]*`", text))


def first_column(heading: str) -> set[str]:
    """What the first column of the page's table that is headed so names."""
    rows = PAGE.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {name for row in rows for name in names_in(row.split("|")[1])}


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_the_page_tells_of_all_there_is() -> None:
    assert first_column("Member") == (public(Conversation) | {"answers", "env"}) - {"close"}
    paragraph = PAGE.split("What came of an action has", 1)[1].split("\n\n", 1)[0]
    assert names_in(paragraph) == public(Answer)
    assert first_column("Fixture") == {"evaluate_policy", "conversation", "scene", "cassette"}
    assert first_column("Option") == {"--stateset-policy", "--stateset-trials", "--stateset-record"}


def talk_at(number: int, difficulty: str = "normal") -> Conversation:
    return opened(None, DESK, number, {"difficulty": difficulty}, [], lambda: "expert")


@given(number=st.integers(0, 999_999), turns=st.integers(0, 8), difficulty=st.sampled_from(["easy", "normal", "hard"]))
def test_an_expert_goes_on_where_another_has_stopped(number: int, turns: int, difficulty: str) -> None:
    talk = talk_at(number, difficulty)
    first, second = policies.make("expert", DESK), policies.make("expert", DESK)
    assert len(talk.play(first, turns=turns)) <= turns
    fork = talk.fork()
    talk.play(second)
    fork.play(first)  # goes on in its own memory
    assert talk.success
    assert talk.total == fork.total == pytest.approx(1)
    assert talk.messages == fork.messages


def test_forks_go_apart() -> None:
    talks: list[Conversation] = []
    talk = opened(None, DESK, None, {}, talks, lambda: "expert")
    talk.say("nonsense")
    fork = talk.fork()
    assert talks == [talk, fork]
    fork.say({"type": "close"})
    assert (talk.turns, talk.over, talk.total) == (1, False, -0.05)
    assert (fork.turns, fork.outcome, fork.violations) == (2, "closed", [])
    talk.say({"type": "get_order", "order_id": "O29"})
    assert talk.violations == ["authenticate_first"]
    assert fork.violations == []
    assert len(talk.messages) == len(fork.messages)
    with pytest.raises(ResetNeeded, match=r"000000 is over \(closed\): open another"):
        fork.say({"type": "close"})


def test_what_came_of_an_action() -> None:
    talk = talk_at(0)
    answer = talk.say("nonsense")
    assert answer == talk.answers[-1]
    assert answer.malformed
    assert answer.content == talk.content == talk.messages[-1]["content"]
    assert (answer.reward, answer.refused, answer.violations, answer.over) == (-0.05, "", [], False)
    assert talk.say({"type": "get_order", "order_id": "O0"}).refused
    assert talk.play(turns=1)[0].facts == talk.facts[-1:]
    end = talk.say({"type": "close"})
    assert (end.over, end.outcome, end.success) == (True, "closed", False)
    assert talk.trace.outcome == "closed"
    assert repr(talk) == "<Conversation CustomerService-v0/test/normal/000000, turn 4, closed>"
    talk.close()


def test_agents_of_all_kinds_go_on() -> None:
    talk = talk_at(0)
    talk.say("nonsense")
    seen: list[object] = []

    class Agent:
        def reset(self, seed: int) -> None:
            seen.append(seed)

        def act(self, observation: object, facts: list[object]) -> str:
            seen.append(len(facts))
            return '{"type": "list_products"}'

    async def waits(observation: object, facts: list[object]) -> str:
        return "nothing"

    agent = Agent()
    talk.play(agent, turns=1)
    talk.play(agent, turns=1)
    talk.play(waits, turns=1)
    talk.play(agent, turns=1)
    talk.play(lambda observation, facts: {"type": "close"})
    seeds, counts = {each for each in seen if each not in range(100)}, [each for each in seen if each in range(100)]
    assert len(seeds) == 1
    # All that there was, then what was new, and all again once another has spoken in between.
    assert counts == [len(talk.trace.opening) + 1, 1, len(talk.trace.opening) + 4]
    assert [answer.malformed != "" for answer in talk.answers] == [True, False, False, True, False, False]
    assert talk.over
