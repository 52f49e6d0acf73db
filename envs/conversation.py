"""The engine: one Gymnasium environment that holds any structured-action conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import gymnasium
import msgspec

from ..rewards.terms import Reward
from .actions import Action, ActionSet
from .errors import BadArgument, BadScene, InvalidAction, ResetNeeded, one_of
from .memory import Fact, Memory
from .parse import Malformed, Parser, transcribe
from .render import Renderer
from .scenes import DIFFICULTIES, SPLITS, SceneName, ScenePool
from .spaces import JSON
from .wording import note

Observation = dict[str, Any]
Message = dict[str, str]
Decide = Callable[[Any, Action], dict[str, Any]]
"""A customer: (state, the agent's act of speech) -> one customer act."""

RENDER_MODES = ("ansi", "human", "rgb_array")


class Scene(Protocol):
    """What the engine asks of a scene; the rest is its environment's own business."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def par(self) -> int: ...
    @property
    def limit(self) -> int: ...


class State(Protocol):
    """What the engine asks of a conversation's state: plain data, copied in microseconds."""

    memory: Memory
    ended: str

    @property
    def scene(self) -> Any: ...
    def copy(self) -> Any: ...
    def key(self) -> Any: ...


@dataclass(frozen=True)
class Parts:
    """An environment's small parts, as the engine calls them."""

    name: str
    actions: ActionSet
    cycles: Mapping[str, tuple[str, ...]]
    """Difficulty -> the scene kinds, in the cycle in which indices bear them."""
    build: Callable[[str], Any]
    """Scene name -> scene."""
    load: Callable[[dict[str, Any]], Any]
    """A user's own scene, as JSON -> scene."""
    start: Callable[[Any], Any]
    """Scene -> state."""
    opening: Callable[[Any], list[Fact]]
    """State -> what the customer says first."""
    play: Callable[[Any, Action, Decide | None], list[Fact]]
    """State, act, customer -> facts; changes the state."""
    show: Callable[[Any, Fact], str]
    """Scene, a result -> its words."""
    say: Callable[[Any, Sequence[Fact], int], str]
    """Scene, what the customer said, turn -> their words; writes each fact's own words into it."""
    goal: Callable[[Any], float]
    """State -> the share of the goal that is reached."""
    brief: Callable[[str], str]
    """Prompt mode -> the system message."""
    floors: Mapping[str, tuple[float, float, str]]
    """Cheap agent -> the success and the mean return it may reach, and why."""


class Snapshot(NamedTuple):
    """All that a conversation is at one turn; plain values, good for `restore` on any environment of the same id."""

    state: Any
    messages: list[Message]
    facts: list[Fact]
    turn: int
    total: float
    over: bool
    generator: Mapping[str, Any]


class ConversationEnv(gymnasium.Env[Observation, Any]):
    """A conversation with a simulated customer; subclasses give the parts."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 2}
    parts: ClassVar[Parts]

    def __init__(
        self,
        *,
        split: Literal["train", "test"] = "train",
        difficulty: Literal["easy", "normal", "hard"] = "easy",
        kinds: Sequence[str] | None = None,
        scenes: Iterable[int | str] | None = None,
        max_turns: int | None = None,
        customer: Literal["agenda"] | Callable[..., dict[str, Any]] = "agenda",
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
        if customer != "agenda" and not callable(customer):
            raise BadArgument(f"customer={customer!r} is not known: give 'agenda' or a callable.")
        if reward is not None and not isinstance(reward, Reward):
            raise BadArgument(f"reward={reward!r} is no Reward: build one with stateset_gym.rewards.Reward(...).")
        parts = self.parts
        self.pool = ScenePool(
            f"{parts.name}/{split}/{difficulty}/", self._cycle(difficulty), self._suffix(), kinds, scenes
        )
        self.action_space = JSON(parts.actions.schema)
        self.observation_space = JSON(OBSERVATION_SCHEMA)
        self.render_mode = render_mode
        self._renderer = Renderer(parts.name) if render_mode else None
        self._parse = parser_of(parts.actions).parse
        self._reward = reward or DEFAULT_REWARD
        self._max_turns = max_turns
        self._decide: Decide | None = None if customer == "agenda" else self._ask_customer
        self._customer = customer
        self._prompt = prompt
        self._raises = on_invalid == "raise"
        self._state: Any = None
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the next scene of the stream that `seed` starts, or the one that `options={"scene": ...}` names."""
        super().reset(seed=seed)
        scene = self._scene(options) if options else self._build(self.pool.draw(self.np_random))
        self._state = state = self.parts.start(scene)
        self._turn, self._total, self._over = 0, 0.0, False
        self._limit = self._max_turns or scene.limit
        facts = self.parts.opening(state)
        words = self.parts.say(scene, facts, 0)
        state.memory.fold(None, facts)
        system = system_message(self.parts, self._prompt)
        self._messages: list[Message] = [*system, {"role": "user", "content": words}]
        self._facts = facts
        if self._renderer and self.render_mode == "human":
            self._renderer.show(self._messages, fresh=True)
        return self._observe(), self._info(NO_TERMS, None)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one action: JSON text, a dict, or an action Struct."""
        if self._over:
            raise ResetNeeded(f"{self.parts.name}: the conversation is over or has not begun; call reset() first.")
        state = self._state
        # The act, or why it is none.
        act = self._parse(action)
        if act.__class__ is Malformed:
            facts = self._malformed(act)
            act = None
        else:
            facts = self.parts.play(state, act, self._decide)
        # What it did, in words and in memory.
        self._turn = turn = self._turn + 1
        text = action if action.__class__ is str else transcribe(self.parts.actions, action)
        content = self._content(facts, turn)
        state.memory.fold(act, facts)
        terminated = state.ended != ""
        truncated = not terminated and turn >= self._limit
        if terminated or truncated:
            content = self._end(facts, content)
        self._messages += ({"role": "assistant", "content": text}, {"role": "user", "content": content})
        # What it is worth.
        terms = self._reward.score(facts, turn > state.scene.par, self._total)
        reward = sum(terms.values())
        self._total += reward
        self._facts = facts
        if self._renderer and self.render_mode == "human":
            self._renderer.show(self._messages, fresh=False)
        return self._observe(), reward, terminated, truncated, self._info(terms, act)

    def render(self) -> Any:
        """The transcript so far: a string (`ansi`), an image (`rgb_array`), or nothing (`human` shows it as it happens)."""
        if self._renderer is None:
            gymnasium.logger.warn("render() was called without a render_mode: give one to gym.make, e.g. 'ansi'.")
            return None
        if self._state is None:
            raise ResetNeeded(f"{self.parts.name}: there is nothing to draw before reset().")
        return self._renderer.render(str(self.render_mode), self._messages, self._caption())

    def close(self) -> None:
        """End the use of the environment; nothing is held open."""
        if self._renderer:
            self._renderer.close()

    def snapshot(self) -> Snapshot:
        """The conversation at this turn, in microseconds."""
        if self._state is None:
            raise ResetNeeded(f"{self.parts.name}: there is nothing to keep before reset().")
        generator = self.np_random.bit_generator.state
        return Snapshot(
            self._state.copy(), self._messages.copy(), self._facts, self._turn, self._total, self._over, generator
        )

    def restore(self, snapshot: Snapshot) -> tuple[Observation, dict[str, Any]]:
        """Go back to a snapshot; what `reset` or `step` would have given there is returned."""
        self._state = snapshot.state.copy()
        self._messages, self._facts = snapshot.messages.copy(), snapshot.facts
        self._turn, self._total, self._over = snapshot.turn, snapshot.total, snapshot.over
        self._limit = self._max_turns or self._state.scene.limit
        self.np_random.bit_generator.state = snapshot.generator
        return self._observe(), self._info(NO_TERMS, None)

    @property
    def memory(self) -> Memory:
        """What the agent has been shown, as the engine keeps it."""
        memory: Memory = self._state.memory
        return memory

    def _observe(self) -> Observation:
        return {"messages": self._messages.copy(), "turn": self._turn, "turns_left": self._limit - self._turn}

    def _info(self, terms: dict[str, float], act: Action | None) -> dict[str, Any]:
        """The one place where infos are made: the same keys, of the same types, on every step."""
        malformed = refused = outcome = ""
        violations: list[str] = []
        success = False
        for fact in self._facts:
            kind = fact["kind"]
            if kind == "said" or kind == "result":
                continue
            if kind == "violation":
                violations.append(fact["rule"])
            elif kind == "malformed":
                malformed = fact["why"]
            elif kind == "refused":
                refused = fact["why"]
            else:
                outcome, success = fact["why"], fact["goal"] >= 1
        scene = self._state.scene
        return {
            "scene": scene.name,
            "kind": scene.kind,
            "par": scene.par,
            "facts": self._facts,
            "reward_terms": terms,
            "malformed": malformed,
            "refused": refused,
            "violations": violations,
            "outcome": outcome,
            "is_success": success,
        }

    def _content(self, facts: list[Fact], turn: int) -> str:
        """The user message of a step: notes and results first, then the customer's words."""
        lines, said, scene = [], [], self._state.scene
        for fact in facts:
            kind = fact["kind"]
            if kind == "said":
                said.append(fact)
            else:
                lines.append(self.parts.show(scene, fact) if kind == "result" else note(fact))
        if said:
            lines.append(self.parts.say(scene, said, turn))
        return lines[0] if len(lines) == 1 else "\n".join(lines)

    def _end(self, facts: list[Fact], content: str) -> str:
        """Close the conversation: the end is a fact like any other, and pays the goal."""
        self._over = True
        end = {"kind": "end", "why": self._state.ended or "out_of_turns", "goal": self.parts.goal(self._state)}
        line = note(end)
        facts.append(end)
        return f"{content}\n{line}" if content else line

    def _malformed(self, malformed: Malformed) -> list[Fact]:
        if self._raises:
            raise InvalidAction(f"{self.parts.name}: malformed action: {malformed.reason}")
        return [{"kind": "malformed", "why": malformed.reason}]

    def _build(self, name: str) -> Any:
        return self.parts.build(name)

    def _cycle(self, difficulty: str) -> tuple[str, ...]:
        return self.parts.cycles[difficulty]

    def _suffix(self) -> str:
        return ""

    def _scene(self, options: dict[str, Any]) -> Any:
        """The scene that a reset's options ask for."""
        unknown = sorted(set(options) - {"scene"})
        if unknown:
            raise BadArgument(f"reset(options=...) holds {unknown}: only 'scene' is known.")
        wanted = options["scene"]
        if isinstance(wanted, dict):
            return self.parts.load(wanted)
        name = SceneName.parse(wanted)
        if name.env != self.parts.name or name.store != self._suffix():
            own = f"{self.parts.name}{self._suffix()}"
            raise BadScene(f"Scene {wanted!r} is not one of {own}: take a scene of this environment and store.")
        return self._build(wanted)

    def _ask_customer(self, brief: Any, act: Action) -> dict[str, Any]:
        """Let a user's callable play the customer: (brief, transcript, action) -> one customer act."""
        assert callable(self._customer)
        return self._customer(brief, self._messages.copy(), msgspec.to_builtins(act))

    def _caption(self) -> str:
        return f"{self._state.scene.name}  turn {self._turn} of {self._limit}  return {self._total:+.2f}"


PROMPTS = ("full", "brief", "none")
DEFAULT_REWARD = Reward()
NO_TERMS = DEFAULT_REWARD.score((), False, 0.0)
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

_parsers: dict[int, Parser] = {}
_systems: dict[tuple[str, str], tuple[Message, ...]] = {}


def parser_of(actions: ActionSet) -> Parser:
    """The parser of an action set, made once a process."""
    found = _parsers.get(id(actions))
    if found is None:
        found = _parsers[id(actions)] = Parser(actions)
    return found


def system_message(parts: Parts, prompt: str) -> tuple[Message, ...]:
    """The system message of a prompt mode, made once a process; none for `none`."""
    key = (parts.name, prompt)
    if key not in _systems:
        _systems[key] = () if prompt == "none" else ({"role": "system", "content": parts.brief(prompt)},)
    return _systems[key]
