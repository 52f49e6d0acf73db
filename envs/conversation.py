"""The engine: one Gymnasium environment that holds any structured-action conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import gymnasium
import msgspec
import numpy as np

from ..rewards.terms import Reward
from .actions import Action
from .errors import BadArgument, BadScene, ResetNeeded, one_of
from .memory import Memory
from .model_customer import ModelCustomer, player_of
from .parts import Parts, Role
from .render import Renderer
from .scenes import DIFFICULTIES, SPLITS, SceneName, ScenePool
from .spaces import JSON
from .turns import Tree, Turn, tree_of

Observation = dict[str, Any]
Message = dict[str, str]

RENDER_MODES = ("ansi", "human", "rgb_array")


class Snapshot(NamedTuple):
    """A point of a conversation and of the stream of scenes; `restore` takes it on any environment of the same id."""

    turn: Turn
    tree: Tree
    generator: Mapping[str, Any]


class ConversationEnv(gymnasium.Env[Observation, Any]):
    """A conversation with a simulated customer; subclasses give the parts."""

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 2}
    parts: ClassVar[Parts]

    def __init__(
        self,
        *,
        split: Literal["train", "test"] = "train",
        difficulty: Literal["easy", "normal", "hard"] = "easy",
        kinds: Sequence[str] | None = None,
        scenes: Iterable[int | str] | None = None,
        max_turns: int | None = None,
        customer: str | Mapping[str, Any] | Callable[..., dict[str, Any]] = "agenda",
        reward: Reward | None = None,
        prompt: Literal["full", "brief", "none"] = "full",
        on_invalid: Literal["price", "raise"] = "price",
        render_mode: str | None = None,
    ) -> None:
        one_of("split", split, SPLITS)
        one_of("difficulty", difficulty, DIFFICULTIES)
        one_of("prompt", prompt, PROMPTS)
        one_of("on_invalid", on_invalid, ("price", "raise"))
        one_of("render_mode", render_mode, (None, *RENDER_MODES))  # type: ignore[arg-type]
        if max_turns is not None and (isinstance(max_turns, bool) or not isinstance(max_turns, int) or max_turns < 1):
            raise BadArgument(f"max_turns={max_turns!r} must be a whole number from 1 up, or None for the scene's own.")
        player = player_of(customer, self.parts)
        if reward is not None and not isinstance(reward, Reward):
            raise BadArgument(f"reward={reward!r} is no Reward: build one with stateset_gym.rewards.Reward(...).")
        parts = self.parts
        self.pool = ScenePool(
            f"{parts.name}/{split}/{difficulty}/",
            self._cycle(split, difficulty),
            self._suffix(),
            kinds,
            scenes,
            self._kind_of,
        )
        self.action_space = JSON(parts.actions.schema)
        self.observation_space = JSON(OBSERVATION_SCHEMA)
        self.render_mode = render_mode
        self._renderer = Renderer(parts.name) if render_mode else None
        self._max_turns = max_turns
        self._customer = player
        if isinstance(player, ModelCustomer):
            player.join(self)
        self._system = system_message(parts, prompt)
        strict = on_invalid == "raise"
        self._tree = tree_of(parts, reward, None if player is None else self._ask_customer, max_turns, strict)
        self._turn: Turn | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the next scene of the stream that `seed` starts, or the one that `options={"scene": ...}` names."""
        turn = self.begin(seed, options)
        return self.observe(), turn.info()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one action: JSON text, a dict, or an action Struct."""
        turn = self.advance(action)
        return self.observe(), turn.reward, turn.terminated, turn.truncated, turn.info()

    def begin(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Turn:
        """`reset` without its observation and info: for those who make these for many conversations at once."""
        return self.open(*self.next_scene(seed, options))

    def next_scene(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, Callable[[str], Any]]:
        """The name of the scene that a `reset` with these arguments begins, and what builds it."""
        if seed is not None:
            self._seed(seed)
        return self._scene(options) if options else (self.pool.draw(self.np_random), self._build)

    def open(self, name: str, build: Callable[[str], Any]) -> Turn:
        """Begin this scene."""
        self._turn = turn = self._tree.root(name, build)
        self._limit = self._max_turns or turn.scene.limit
        self._messages: list[Message] = [*map(dict.copy, self._system), {"role": "user", "content": turn.content}]
        if self.render_mode == "human":
            self._show(fresh=True)
        return turn

    def advance(self, action: Any) -> Turn:
        """`step` without its observation and info."""
        before = self._turn
        if before is None or before.over:
            raise ResetNeeded(f"{self.parts.name}: the conversation is over or has not begun; call reset() first.")
        turn = before.next.get(action) if before.next and action.__class__ is str else None
        self._turn = turn = turn or self._tree.grow(before, action, self._limit)
        self._messages += ({"role": "assistant", "content": turn.text}, {"role": "user", "content": turn.content})
        if self.render_mode == "human":
            self._show(fresh=False)
        return turn

    def observe(self) -> Observation:
        """The observation of this turn."""
        number = self._turn.number  # type: ignore[union-attr]
        return {"messages": self._messages.copy(), "turn": number, "turns_left": self._limit - number}

    def render(self) -> Any:
        """The transcript so far: a string (`ansi`), an image (`rgb_array`), or nothing (`human` shows it by itself)."""
        if self._renderer is None:
            gymnasium.logger.warn("render() was called without a render_mode: give one to gym.make, e.g. 'ansi'.")
            return None
        self._begun("draw")
        return self._renderer.render(str(self.render_mode), self._messages, self._caption())

    def close(self) -> None:
        """End the use of the environment; nothing is held open."""
        if isinstance(self._customer, ModelCustomer):
            self._customer.leave(self)
        if self._renderer:
            self._renderer.close()

    def snapshot(self) -> Snapshot:
        """The conversation at this turn, in microseconds."""
        return Snapshot(self._tree.share(self._begun("keep")), self._tree, self.np_random.bit_generator.state)

    def restore(self, snapshot: Snapshot) -> tuple[Observation, dict[str, Any]]:
        """Go back to a snapshot; the observation and the info of that turn are returned."""
        if not isinstance(snapshot, Snapshot):
            raise BadArgument(f"restore() got {snapshot!r}: give what snapshot() returned.")
        limit = self._max_turns or snapshot.turn.scene.limit
        if snapshot.turn.number >= limit and not snapshot.turn.over:
            raise BadArgument(
                f"restore() got turn {snapshot.turn.number}: here a conversation ends after {limit} turns."
            )
        if snapshot.tree.parts is not self.parts:
            other = snapshot.tree.parts.name
            raise BadArgument(f"restore() got a snapshot of {other}: take one of {self.parts.name}'s own.")
        self._turn = turn = snapshot.turn if snapshot.tree is self._tree else self._tree.adopted(snapshot.turn)
        self._limit = limit
        self._messages = [*map(dict.copy, self._system), *turn.transcript()]
        self._np_random = generator_in(self.np_random, snapshot.generator)
        return self.observe(), turn.info()

    @property
    def memory(self) -> Memory:
        """What the agent has been shown, as the engine keeps it; read only."""
        memory: Memory = self._tree.state(self._begun("read")).memory
        return memory

    def _seed(self, seed: int) -> None:
        """Seed the stream of scenes as Gymnasium does; the state that a seed leads to is kept at hand."""
        known = _seeded.get(seed) if seed.__class__ is int else None
        if known is None or self._np_random is None:
            super().reset(seed=seed)
            if seed in _seeded:
                _seeded[seed] = self.np_random.bit_generator.state
            elif seed.__class__ is int and len(_seeded) < SEEDS:
                _seeded[seed] = None
        else:
            self._np_random = generator_in(self._np_random, known)
            self._np_random_seed = seed

    def _begun(self, verb: str) -> Turn:
        if self._turn is None:
            raise ResetNeeded(f"{self.parts.name}: there is nothing to {verb} before reset().")
        return self._turn

    def _show(self, fresh: bool) -> None:
        assert self._renderer is not None
        self._renderer.show(self._messages, fresh=fresh, caption=self._caption())

    def _build(self, name: str) -> Any:
        return self.parts.build(name)

    def _cycle(self, split: str, difficulty: str) -> tuple[str, ...]:
        return self.parts.cycles[difficulty]

    def _kind_of(self, name: SceneName) -> str:
        cycle = self._cycle(name.split, name.difficulty)
        return cycle[name.number % len(cycle)]

    def _suffix(self) -> str:
        return ""

    def _scene(self, options: dict[str, Any]) -> tuple[str, Callable[[str], Any]]:
        """The name of the scene that a reset's options ask for, and what builds it."""
        unknown = sorted(set(options) - {"scene"})
        if unknown:
            raise BadArgument(f"reset(options=...) holds {unknown}: only 'scene' is known.")
        wanted = options["scene"]
        if isinstance(wanted, dict):
            own = self.parts.load(wanted)
            return own.name, lambda name: own
        name = SceneName.parse(wanted)
        if name.env != self.parts.name or name.store != self._suffix():
            here = f"{self.parts.name}{self._suffix()}"
            raise BadScene(f"Scene {wanted!r} is not one of {here}: take a scene of this environment and store.")
        return wanted, self._build

    def _ask_customer(self, role: Role, act: Action) -> dict[str, Any]:
        """Let a model or a user's callable play the customer: (brief, transcript, action) -> one customer act."""
        if isinstance(self._customer, ModelCustomer):
            return self._customer.play(role, self._begun("answer"), act)
        assert self._customer is not None
        transcript = list(map(dict.copy, self._messages))
        return role.checked(self._customer(role.brief(), transcript, msgspec.to_builtins(act)))

    def _caption(self) -> str:
        turn = self._begun("draw")
        return f"{turn.scene.name}  turn {turn.number} of {self._limit}  return {turn.total:+.2f}"


PROMPTS = ("full", "brief", "none")
OBSERVATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "messages": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": {"type": "string"}},
                "required": ["role", "content"],
                "additionalProperties": False,
            },
        },
        "turn": {"type": "integer", "minimum": 0},
        "turns_left": {"type": "integer", "minimum": 0},
    },
    "required": ["messages", "turn", "turns_left"],
    "additionalProperties": False,
}

SEEDS = 10_000
"""How many seeds' generator states are kept, from their second use on: making one anew costs as much as two steps."""
_seeded: dict[int, Mapping[str, Any] | None] = {}
_systems: dict[tuple[str, str], tuple[Message, ...]] = {}


def generator_in(current: np.random.Generator, state: Mapping[str, Any]) -> np.random.Generator:
    """The generator in that state: the same one where it is of the state's kind."""
    kind = state["bit_generator"]
    if current.bit_generator.__class__.__name__ != kind:
        current = np.random.Generator(getattr(np.random, kind)())
    current.bit_generator.state = state
    return current


def system_message(parts: Parts, prompt: str) -> tuple[Message, ...]:
    """The system message of a prompt mode, made once a process; none for `none`."""
    key = (parts.name, prompt)
    if key not in _systems:
        _systems[key] = () if prompt == "none" else ({"role": "system", "content": parts.brief(prompt)},)
    return _systems[key]
