"""The discrete view, on every registered id and difficulty: what it offers, what it hides, and what it may not know."""

import dataclasses
import doctest
import re
from typing import Any

import gymnasium
import msgspec
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym.envs import discrete
from stateset_gym.envs.actions import Action
from stateset_gym.envs.customer_service.catalogue import CATALOGUE
from stateset_gym.envs.customer_service.env import CustomerServiceEnv
from stateset_gym.envs.customer_service.goals import Goal, Temper
from stateset_gym.envs.customer_service.scenes import Scene, build
from stateset_gym.envs.discrete import DiscreteView, catalogue_of
from stateset_gym.envs.errors import BadArgument, InvalidAction, ResetNeeded
from stateset_gym.envs.parse import Parser
from stateset_gym.policies.registry import kind_of
from stateset_gym.rewards import Reward

IDS = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))
SHOP = "StateSet/CustomerService-v0"
SIZES = {SHOP: (45, 62), "StateSet/Echo-v0": (4, 4), "StateSet/TicketTriage-v0": (32, 54)}
"""Environment -> how many templates and features its view has: changing either is for models a new world."""
SAMPLE = 240
"""How many scenes of each split and difficulty the expert's path is sought on; kinds come round every 8 or 24."""

every_id = pytest.mark.parametrize("name", IDS)
every_level = pytest.mark.parametrize("difficulty", ["easy", "normal", "hard"])


def view_of(name: str, **arguments: Any) -> DiscreteView:
    return DiscreteView(gymnasium.make(name, **arguments))


def scene(view: DiscreteView, number: int) -> dict[str, Any]:
    """The options that play a scene of the view's pool."""
    return {"scene": view.unwrapped.pool[number]}


def offered(view: DiscreteView) -> dict[int, Action]:
    """The unmasked templates, each as its JSON action is read."""
    parser = Parser(view.unwrapped.parts.actions)
    return {int(i): parser.parse(view.to_action(i)) for i in np.flatnonzero(view.action_masks())}


def expert(view: DiscreteView) -> int:
    """The one template that does what the expert does."""
    env = view.unwrapped
    wanted = env.parts.expert(env.memory)
    (index,) = [i for i, action in offered(view).items() if action == wanted]
    return index


def said(view: DiscreteView) -> str:
    """The text that the last step has played."""
    return str(view.unwrapped.observe()["messages"][-2]["content"])


@every_id
def test_sizes_and_names(name: str) -> None:
    view = view_of(name)
    assert (view.action_space.n, *view.observation_space.shape) == SIZES[name]
    assert view.observation_space.dtype == np.float32
    for names in (view.action_names, view.feature_names):
        assert len(set(names)) == len(names)
    assert (len(view.action_names), len(view.feature_names)) == SIZES[name]


@every_id
@every_level
def test_unmasked_actions_are_valid_and_there_always_are_some(name: str, difficulty: str) -> None:
    view, generator = view_of(name, difficulty=difficulty), np.random.default_rng(0)
    for number in range(24):
        features, _ = view.reset(options=scene(view, number))
        over = False
        while not over:
            masks = view.action_masks()
            assert masks.any()
            assert masks.dtype == np.bool_
            assert features in view.observation_space
            for index in range(view.action_space.n):
                if masks[index]:
                    assert view.to_action(index) in view.unwrapped.action_space
                else:
                    with pytest.raises(InvalidAction, match=rf"Template {index} \(.+\) is masked: .*action_masks"):
                        view.to_action(index)
            index = int(generator.choice(np.flatnonzero(masks)))
            wanted = view.to_action(index)
            features, _, terminated, truncated, info = view.step(index)
            assert info["malformed"] == ""
            assert msgspec.json.decode(said(view)) == wanted
            over = terminated or truncated


@every_id
@every_level
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_experts_path_is_in_the_catalogue(name: str, difficulty: str, split: Any) -> None:
    view = view_of(name, difficulty=difficulty, split=split)
    choice: dict[bytes, int] = {}
    for number in range(SAMPLE):
        features, _ = view.reset(options=scene(view, number))
        total, over = 0.0, False
        while not over:
            index = expert(view)
            assert choice.setdefault(features.tobytes(), index) == index, "the features tell what is to be done"
            features, reward, terminated, truncated, info = view.step(index)
            total, over = total + reward, terminated or truncated
        assert info["is_success"]
        assert total == pytest.approx(1)


@every_id
@every_level
def test_the_view_pays_what_the_environment_pays(name: str, difficulty: str) -> None:
    """Over unmasked templates, and some that are masked."""
    view, plain = view_of(name, difficulty=difficulty), gymnasium.make(name, difficulty=difficulty)
    generator = np.random.default_rng(1)
    for number in range(16):
        _, info = view.reset(options=scene(view, number))
        assert plain.reset(options=scene(view, number))[1] == info
        over = False
        while not over:
            masks = view.action_masks()
            anything = generator.random() < 0.3
            index = int(generator.integers(len(masks)) if anything else generator.choice(np.flatnonzero(masks)))
            features, *rest = view.step(index)
            assert isinstance(features, np.ndarray)
            assert list(plain.step(said(view))[1:]) == rest
            assert (rest[-1]["malformed"] != "") == (not masks[index])
            over = rest[1] or rest[2]


@every_id
@every_level
def test_what_was_not_shown_does_not_show(name: str, difficulty: str) -> None:
    """Behind one and the same memory stands another scene, customer and store: the view does not change."""
    view = view_of(name, difficulty=difficulty, reward=Reward())
    parts = view.unwrapped.parts
    for number in range(24):
        features, _ = view.reset(options=scene(view, number))
        over = False
        while not over:
            masks, actions, index = view.action_masks(), offered(view), expert(view)
            here = view.snapshot()
            other = parts.start(parts.build(view.unwrapped.pool[number + 1]))
            other.memory = here.turn.state.memory.copy()
            here.turn.state, kept = other, here.turn.state
            shown, _ = view.restore(here)
            assert shown.tobytes() == features.tobytes()
            assert view.action_masks().tolist() == masks.tolist()
            assert offered(view) == actions
            here.turn.state = kept
            view.restore(here)
            features, _, terminated, truncated, _ = view.step(index)
            over = terminated or truncated


class OtherCustomers(CustomerServiceEnv):
    """Scenes in which the customer tells the same, and has another goal and temper; nothing of that is ever shown."""

    def _build(self, name: str) -> Any:
        scene = build(name)
        requests = tuple(msgspec.structs.replace(each, goal=Goal(hand_over=True)) for each in scene.plot.requests)
        plot = msgspec.structs.replace(scene.plot, requests=requests, temper=Temper(patience=9, push_backs=2))
        return Scene(name, scene.kind, scene.difficulty, scene.test, scene.base, plot)


@every_level
def test_the_brief_of_the_customer_does_not_show(difficulty: Any) -> None:
    """Until the first act that is answered by what they want: then the facts part."""
    view = view_of(SHOP, difficulty=difficulty)
    twin = DiscreteView(OtherCustomers(difficulty=difficulty, reward=Reward()))
    for number in range(24):
        drifts = view.unwrapped._build(view.unwrapped.pool[number]).plot.temper.drifts
        features, _ = view.reset(options=scene(view, number))
        shown, _ = twin.reset(options=scene(view, number))
        turns = 0
        while True:
            assert shown.tobytes() == features.tobytes()
            assert twin.action_masks().tolist() == view.action_masks().tolist()
            index = expert(view)
            kind = view.to_action(index)["type"]
            if kind in ("propose", "inform", "refuse", "hand_over", "close") or (kind == "ask" and drifts):
                break
            (features, *_), (shown, *_) = view.step(index), twin.step(index)
            turns += 1
        assert turns or drifts or number


@every_id
def test_a_masked_template_is_priced_like_a_malformed_action(name: str) -> None:
    view = view_of(name, difficulty="hard", max_turns=3)
    view.reset(seed=0)
    masked = np.flatnonzero(~view.action_masks())
    if name != SHOP:
        assert masked.size == 0
        return
    _, reward, terminated, truncated, info = view.step(masked[0])
    assert (reward, terminated, truncated) == (-0.05, False, False)
    assert info["malformed"] != ""
    assert said(view) == f"(masked: {view.action_names[masked[0]]})"
    strict = view_of(name, on_invalid="raise")
    strict.reset(seed=0)
    with pytest.raises(InvalidAction, match="malformed action"):
        strict.step(np.flatnonzero(~strict.action_masks())[0])


@every_id
@pytest.mark.parametrize("index", [-1, 1000, 0.0, "0", None, np.array([0, 1])])
def test_an_index_outside_the_catalogue_is_told(name: str, index: Any) -> None:
    view = view_of(name)
    view.reset(seed=0)
    wanted = (
        f"{re.escape(repr(index))} is no index of the catalogue: give a whole number from 0 to {SIZES[name][0] - 1}"
    )
    with pytest.raises(InvalidAction, match=wanted):
        view.step(index)
    with pytest.raises(InvalidAction, match=wanted):
        view.to_action(index)
    assert view.unwrapped.observe()["turn"] == 0


def test_what_it_cannot_wrap_is_told() -> None:
    with pytest.raises(BadArgument, match=r"DiscreteView wraps environments of this package, and .*CartPole.* is none"):
        DiscreteView(gymnasium.make("CartPole-v1"))

    class Bare(CustomerServiceEnv):
        parts = dataclasses.replace(CustomerServiceEnv.parts, catalogue=None)

    with pytest.raises(BadArgument, match=r"CustomerService-v0 has no catalogue, .*give its Parts one"):
        DiscreteView(Bare())
    assert DiscreteView(Bare(), CATALOGUE).catalogue is CATALOGUE


@every_id
def test_before_the_first_reset_and_after_the_end(name: str) -> None:
    view = view_of(name, max_turns=1)
    for act in (view.action_masks, lambda: view.to_action(0), lambda: view.step(0), view.snapshot):
        with pytest.raises(gymnasium.error.ResetNeeded):
            act()
    view.reset(seed=0)
    _, _, terminated, truncated, _ = view.step(0)
    assert terminated or truncated
    assert view.action_masks().shape == (SIZES[name][0],)
    with pytest.raises(ResetNeeded, match="call reset"):
        view.step(0)


@every_id
def test_snapshots_branch(name: str) -> None:
    view = view_of(name, difficulty="hard")

    def finish() -> list[Any]:
        steps, over = [], False
        while not over:
            masks = view.action_masks().tolist()
            features, *rest = view.step(expert(view))
            steps.append((features.tolist(), masks, rest))
            over = rest[1] or rest[2]
        return steps

    first, info = view.reset(seed=3)
    here, path = view.snapshot(), finish()
    back, told = view.restore(here)
    assert (back.tolist(), told) == (first.tolist(), info)
    assert finish() == path
    elsewhere = view_of(name, difficulty="hard")
    elsewhere.reset(seed=9)
    assert elsewhere.restore(here)[0].tolist() == first.tolist()
    assert elsewhere.step(0)[1:] == (view.restore(here) and view.step(0))[1:]


@every_id
@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version:UserWarning")
def test_gymnasiums_checker_and_vector_environments(name: str) -> None:
    check_env(view_of(name), skip_render_check=True)
    again = gymnasium.make(view_of(name, difficulty="hard").spec)
    assert isinstance(again, DiscreteView)
    assert again.unwrapped.pool[0].split("/")[2] == "hard"
    envs = SyncVectorEnv([lambda: view_of(name, difficulty="hard")] * 2)
    seen, _ = envs.reset(seed=1)
    assert seen.shape == (2, SIZES[name][1])
    assert np.shape(envs.call("action_masks")) == (2, SIZES[name][0])
    assert envs.step(envs.action_space.sample())[0] in envs.observation_space


@every_id
def test_the_catalogue_is_a_view_for_policies(name: str) -> None:
    """What an `sb3:` policy asks of a view, it answers as the wrapper does."""
    view, catalogue = view_of(name), catalogue_of(kind_of(name))
    assert catalogue is view.catalogue
    features, _ = view.reset(seed=0)
    memory, masks = view.unwrapped.memory, view.action_masks()
    assert catalogue.features(memory, {}).tobytes() == features.tobytes()
    assert catalogue.masks(memory).tolist() == masks.tolist()
    for index in range(view.action_space.n):
        action = catalogue.action(index, memory)
        assert isinstance(action, Action) == masks[index]
        assert not masks[index] or msgspec.json.decode(msgspec.json.encode(action)) == view.to_action(index)


def test_echo_has_every_place_in_every_split() -> None:
    for difficulty in ("easy", "normal", "hard"):
        for split in ("train", "test"):
            view = view_of("StateSet/Echo-v0", difficulty=difficulty, split=split)
            assert {int(view.reset(options=scene(view, number))[0].argmax()) for number in range(60)} == {0, 1, 2, 3}


def test_echo_knows_words_of_a_users_own() -> None:
    view = view_of("StateSet/Echo-v0")
    view.reset(options={"scene": {"words": ["zebra"], "asks": ["say"]}})
    assert view.step(expert(view))[1] == 1


def test_what_is_open_is_asked_and_what_is_known_is_not() -> None:
    view = view_of(SHOP, difficulty="hard")
    repeated = 0
    for number in range(60):
        view.reset(options=scene(view, number))
        over = False
        while not over:
            memory = view.unwrapped.memory
            names = {view.action_names[i]: action for i, action in offered(view).items()}
            open_kinds = [each for no, each in enumerate(memory.requests) if no not in memory.settled]
            assert ("ask.request" in names) == (not open_kinds)
            assert not any(action in memory.done for action in names.values())
            assert not any(getattr(action, "action", None) in memory.agreed for action in names.values())
            chosen = view.action_names[expert(view)]
            repeated += chosen == "ask.email" and "email" in memory.person
            _, _, terminated, truncated, _ = view.step(expert(view))
            over = terminated or truncated
    assert repeated, "an address that led nowhere is asked for again"


def test_a_customer_who_wants_nothing_more_is_not_asked_again() -> None:
    view = view_of(SHOP, scenes=range(1))
    view.reset(seed=0)
    while "ask.request" not in [view.action_names[i] for i in offered(view)]:
        view.step(expert(view))
    view.step(view.action_names.index("ask.request"))
    assert view.unwrapped.memory.requests[-1] == {"request": "nothing"}
    assert not any(view.action_names[i].startswith(("ask", "do", "propose", "refuse")) for i in offered(view))


@pytest.mark.parametrize(
    "kind", ["cancel_order", "change_items", "change_address", "change_payment", "return_items", "exchange_items"]
)
def test_a_change_that_nobody_agreed_to_can_be_made_once_and_is_seen(kind: str) -> None:
    view = view_of(SHOP, kinds=[kind])
    view.reset(seed=0)
    do, made = view.action_names.index(f"do.{kind}"), view.feature_names.index("change.made")
    while not view.action_masks()[do]:
        features = view.step(expert(view))[0]
    assert features[made] == 0
    features, reward, _, _, info = view.step(do)
    assert info["violations"] == ["confirm_writes"]
    assert reward < 0
    assert features[made] == 1
    assert not view.action_masks()[do]
    assert view.action_masks()[view.action_names.index("ask.request")]


def test_the_examples_run() -> None:
    assert doctest.testmod(discrete).failed == 0
