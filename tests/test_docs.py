"""The documentation says what is so: its pages are current, its examples run, its tables name what there is."""

import doctest
import importlib.util
import inspect
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym import policies
from stateset_gym.__main__ import app
from stateset_gym.cli.environments import audit
from stateset_gym.envs.conversation import ConversationEnv
from stateset_gym.envs.customer_service.actions import ACTIONS
from stateset_gym.envs.customer_service.played import HOWS
from stateset_gym.envs.memory import Memory
from stateset_gym.policies.audit import CHECKS
from stateset_gym.policies.registry import kind_of
from stateset_gym.rewards import PRICES, TERMS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
IDS = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))
SHOP = "StateSet/CustomerService-v0"
HEADINGS = [
    "Description",
    "Actions",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Info keys",
    "Version History",
]
TYPES = {"str": str, "int": int, "list": list, "dict": dict, "bool": bool}


def build() -> Any:
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(env_id: str, heading: str) -> str:
    """A part of an environment's docstring."""
    return (inspect.getdoc(kind_of(env_id)) or "").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def table(text: str, first: str) -> dict[str, list[str]]:
    """The table whose first column is headed so: the first cell's words -> the other cells."""
    lines = text.splitlines()
    heads = [at - 1 for at, line in enumerate(lines) if line.startswith("|-")]
    start = next(at for at in heads if re.match(rf"\| {re.escape(first)} +\|", lines[at]))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].strip("`")] = cells[1:]
    return rows


def fenced(name: str, language: str) -> list[str]:
    """The code blocks of a page."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


def episodes(env_id: str, **options: Any) -> list[policies.Episode]:
    """Some conversations, good and bad."""
    env = gymnasium.make(env_id, **options)
    names = ("expert", "random", "null")
    return [policies.rollout(policies.make(name, env), env, seed=seed) for name in names for seed in range(8)]


def test_pages_are_what_the_code_makes() -> None:
    assert list(build().outdated()) == [], "run: python docs/build.py"


def test_there_are_no_pages_of_environments_that_are_gone() -> None:
    assert sorted(page.stem for page in (DOCS / "envs").iterdir()) == [name.split("/")[1] for name in IDS]


def test_a_changed_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = build()
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr("sys.argv", ["build.py", "--check"])
    assert module.main() == 1
    monkeypatch.setattr("sys.argv", ["build.py"])
    assert module.main() == 0
    (tmp_path / "envs" / "Echo-v0.md").write_text("stale")
    assert list(module.outdated()) == ["envs/Echo-v0.md"]


def test_the_hard_conversations_differ() -> None:
    page = (DOCS / "hard-conversations.md").read_text(encoding="utf-8")
    scenes = re.findall(r"Scene `([^`]+)`", page)
    assert len(set(scenes)) == 10
    env = gymnasium.make(SHOP)
    assert len({env.reset(options={"scene": scene})[1]["kind"] for scene in scenes}) >= 8


@pytest.mark.parametrize("env_id", IDS)
def test_docstrings_have_all_headings(env_id: str) -> None:
    text = inspect.getdoc(kind_of(env_id)) or ""
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("env_id", IDS)
def test_docstring_examples_run(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = run_examples(inspect.getdoc(kind_of(env_id)) or "", env_id)
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize(
    "page", ["agents.md", "comparing.md", "discrete.md", "running.md", "scenes.md", "store.md", "tabular.md"]
)
def test_examples_of_pages_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = run_examples((DOCS / page).read_text(encoding="utf-8"), page)
    assert tried > 0
    assert failed == 0


def run_examples(text: str, name: str) -> tuple[int, int]:
    runner = doctest.DocTestRunner()
    result = runner.run(doctest.DocTestParser().get_doctest(text, {}, name, name, 0))
    return result.failed, result.attempted


@pytest.mark.parametrize("env_id", IDS)
def test_documented_arguments_are_those_there_are(env_id: str) -> None:
    documented = {name: cells[0].strip("`") for name, cells in table(section(env_id, "Arguments"), "Argument").items()}
    kind = kind_of(env_id)
    constructors = {ConversationEnv.__init__, kind.__init__}
    parameters = [each for one in constructors for each in inspect.signature(one).parameters.values()]
    real = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert documented == {name: json.dumps(each).replace("null", "None") for name, each in real.items()}


@pytest.mark.parametrize("env_id", IDS)
def test_documented_info_keys_are_those_emitted(env_id: str) -> None:
    documented = {name: TYPES[cells[0]] for name, cells in table(section(env_id, "Info keys"), "Key").items()}
    for episode in episodes(env_id):
        for info in episode.infos:
            assert {name: type(value) for name, value in info.items()} == documented


@pytest.mark.parametrize("env_id", IDS)
def test_documented_rewards_are_the_terms_and_their_prices(env_id: str) -> None:
    documented = table(section(env_id, "Rewards"), "Term")
    assert set(documented) == set(TERMS)
    wanted = {
        "conduct": [PRICES.conduct],
        "truth": [PRICES.truth],
        "format": [PRICES.malformed, PRICES.refused],
        "turns": [PRICES.late_turn],
    }
    for term, prices in wanted.items():
        written = [-float(each) for each in re.findall(r"-0\.\d+", documented[term][0])]
        assert written in ([], prices, prices[:1]), term


@pytest.mark.parametrize("env_id", IDS)
def test_documented_observation_is_the_schema(env_id: str) -> None:
    space: Any = gymnasium.make(env_id).observation_space
    types = {name: each["type"] for name, each in space.schema["properties"].items()}
    documented = {name: cells[0] for name, cells in table(section(env_id, "Observation Space"), "Key").items()}
    assert documented == types


def test_documented_actions_of_customer_service_are_those_there_are() -> None:
    acts, speech = (part for part in re.split(r"\n\n(?=Acts of speech)", section(SHOP, "Actions"), maxsplit=1))
    documented = table(acts, "`type`") | table(speech, "`type`")
    assert sorted(documented) == sorted(ACTIONS.names)
    for name, cells in documented.items():
        fields = set(ACTIONS.by_name[name].__struct_fields__)
        assert set(re.findall(r"`(\w+)`", cells[0])) == fields - {"message"}, name


def test_documented_kinds_of_customer_service_have_their_shares() -> None:
    documented = table(section(SHOP, "Starting State"), "Kind")
    for column, difficulty in enumerate(("easy", "normal", "hard")):
        cycle = Counter(kind_of(SHOP).parts.cycles[difficulty])
        assert {kind: int(cells[column]) for kind, cells in documented.items() if int(cells[column])} == cycle


def test_documented_turns_of_customer_service() -> None:
    written = [int(each) for each in re.findall(r"by default|\b(\d\d)\b", section(SHOP, "Episode End")) if each]
    real = [gymnasium.make(SHOP, difficulty=each).reset(seed=0)[0]["turns_left"] for each in ("easy", "normal", "hard")]
    assert written == real


def test_documented_facts_of_customer_service_are_those_emitted() -> None:
    documented = table(section(SHOP, "Info keys"), "`kind`")
    fields = {kind: {"kind", "words", *re.findall(r"`(\w+)`", cells[0])} for kind, cells in documented.items()}
    met: dict[str, set[str]] = {}
    for difficulty in ("easy", "hard"):
        for episode in episodes(SHOP, difficulty=difficulty):
            for fact in (fact for facts in episode.facts for fact in facts):
                met.setdefault(fact["kind"], set()).update(fact)
    assert met == fields


RUNNING = (DOCS / "running.md").read_text(encoding="utf-8")


def test_documented_acts_of_a_customer_are_those_there_are() -> None:
    documented = {act: tuple(re.findall(r"`(\w+)`", cells[1])) for act, cells in table(RUNNING, "`act`").items()}
    assert documented == HOWS


def test_documented_attributes_of_memory_are_those_there_are() -> None:
    documented = table((DOCS / "agents.md").read_text(encoding="utf-8"), "Attribute")
    assert sorted(documented) == sorted(Memory.__slots__)


def test_documented_prices_are_those_there_are() -> None:
    documented = {name: float(cells[0]) for name, cells in table(RUNNING, "Price").items()}
    assert documented == {name: getattr(PRICES, name) for name in PRICES.__slots__}


def test_documented_commands_are_those_there_are() -> None:
    named = {row.split()[3] for row in table(RUNNING, "Command")}
    assert named == {command.callback.__name__ for command in app.registered_commands if command.callback}


def test_documented_options_of_the_audit_are_those_there_are() -> None:
    documented = {option.split()[0].removeprefix("--") for option in table(RUNNING, "Option")}
    renamed = {"every": "all", "as_json": "json"}
    assert documented == {renamed.get(name, name) for name in inspect.signature(audit).parameters} - {"env"}


def test_documented_checks_of_the_audit_are_those_there_are() -> None:
    assert list(table(RUNNING, "Check")) == list(CHECKS)


def test_the_example_of_a_store_loads_and_plays() -> None:
    (example,) = fenced("store.md", "json")
    written = json.loads(example)
    assert written == json.loads((ROOT / "examples" / "shop.json").read_text(encoding="utf-8"))
    env = gymnasium.make(SHOP, store=written, difficulty="normal")
    assert all(policies.rollout(policies.make("expert", env), env, seed=seed).total == 1 for seed in range(20))


def test_the_example_of_a_scene_is_played_as_it_is_told() -> None:
    (example,) = fenced("scenes.md", "json")
    env = gymnasium.make(SHOP)
    episode = policies.rollout(policies.make("expert", env), env, scene=json.loads(example))
    assert episode.total == 1
    said = [fact for facts in episode.facts for fact in facts if fact["kind"] == "said"]
    assert [fact["value"] for fact in said if fact.get("field") == "order_id"] == ["O2", "O1"]
    assert "change" in [fact["act"] for fact in said]


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT) for path in [*DOCS.rglob("*.md"), ROOT / "README.md"]))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert link.startswith("https://") or (ROOT / page).parent.joinpath(link).exists(), link
