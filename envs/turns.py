"""Turns: a conversation as a path through a tree of turns that are never changed once made.

What a turn brings is a pure function of its scene and the actions before it. So turns are made once and met again: by
the next episode of the same scene, by the members of a group that start from one snapshot, by a search that branches.
A bounded number of them is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ..rewards.terms import Reward
from .actions import Action
from .errors import InvalidAction
from .memory import Fact
from .parse import Malformed, Parser
from .parts import Decide, Parts
from .wording import note

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Fact]).decode
_copy = msgspec.to_builtins

KEPT = 50_000
"""How many turns a tree keeps."""
LONG = 4_000
"""Characters of a turn's two messages beyond which it is not kept."""


class Turn:
    """One point of a conversation: what the agent did, what came of it, and where it stands."""

    __slots__ = (
        "act", "content", "next", "number", "over", "parent", "plain", "reward", "scene", "shared", "state",
        "terminated", "terms", "text", "told", "total", "truncated",
    )  # fmt: skip

    scene: Any
    parent: Turn | None
    number: int
    act: Action | None
    text: str
    """The agent's words, exactly as given."""
    content: str
    """The answer to them."""
    told: list[Fact] | bytes
    """The facts, which are handed out in copies alone; encoded where the turn is kept: that is small."""
    plain: bool
    """Whether results and the customer's words are all there is: no fault, no end, and nothing is paid."""
    terms: dict[str, float]
    reward: float
    total: float
    """The return up to here."""
    terminated: bool
    truncated: bool
    over: bool
    state: Any
    """The environment's state here; None once a later turn has taken it over."""
    shared: bool
    """Whether several turns may follow this one, so that its state has to stay."""
    next: dict[str, Turn] | None
    """Action text -> the turn it leads to; None where turns are not kept."""

    @property
    def facts(self) -> list[Fact]:
        """What became visible in this turn, in a fresh copy."""
        told = self.told
        return _decode(told) if told.__class__ is bytes else _copy(told)

    def info(self) -> dict[str, Any]:
        """The info of this turn: the same keys, of the same types, at every turn."""
        scene, facts = self.scene, self.facts
        info = {
            "scene": scene.name,
            "kind": scene.kind,
            "par": scene.par,
            "facts": facts,
            "reward_terms": self.terms.copy(),
            "malformed": "",
            "refused": "",
            "violations": [],
            "outcome": "",
            "is_success": False,
        }
        if not self.plain:
            tell(info, facts)
        return info

    def path(self) -> list[Turn]:
        """The turns from the opening to this one."""
        turns: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            turns.append(turn)
            turn = turn.parent
        return turns[::-1]

    def transcript(self) -> Iterator[dict[str, str]]:
        """The messages up to this turn, the system message aside."""
        for turn in self.path():
            if turn.parent is not None:
                yield {"role": "assistant", "content": turn.text}
            yield {"role": "user", "content": turn.content}


class Tree:
    """Makes turns, and keeps those of scenes that are met again."""

    def __init__(self, parts: Parts, reward: Reward, decide: Decide | None = None, strict: bool = False) -> None:
        self._strict = strict
        self.parts, self._reward, self._decide = parts, reward, decide
        self._parser = Parser(parts.actions)
        self._roots: dict[str, Turn | None] = {}
        self._count = 0
        self._nothing = reward.nothing()

    def __reduce__(self) -> Any:
        raise TypeError(
            "An environment or a snapshot lives in its process and is neither pickled nor deep-copied: branch with "
            "snapshot() and restore(), and send the scene's name and the actions elsewhere."
        )

    def root(self, name: str, build: Callable[[str], Any]) -> Turn:
        """The opening of a scene; a scene that is met a second time is kept, with all that follows."""
        turn = self._roots.get(name)
        if turn is None:
            turn = self._opening(build(name))
            if self._decide is not None:
                return turn
            if name in self._roots:
                turn.next, turn.told = {}, _encode(turn.told)
                self._roots[name] = turn
            else:
                self._roots[name] = None
                self._count += 1
            if self._count > KEPT:
                self._forget()
        return turn

    def adopted(self, turn: Turn) -> Turn:
        """A turn of another tree, to go on from here: what follows it is this tree's business."""
        twin = copy.copy(turn)
        twin.state, twin.next, twin.shared = turn.state.copy(), None, True
        return twin

    def grow(self, before: Turn, action: Any, limit: int) -> Turn:
        """The turn that an action leads to; a strict tree raises where the action is malformed."""
        parts = self.parts
        act: Any
        act, text = self._parser.read(action)
        if before.next and action.__class__ is not str and text in before.next and act.__class__ is not Malformed:
            return before.next[text]
        if act.__class__ is Malformed:
            if self._strict:
                raise InvalidAction(f"{parts.name}: malformed action: {act.reason}")
            state, facts = self._take(before), [{"kind": "malformed", "why": act.reason}]
            act = None
        else:
            state = self._take(before)
            facts = parts.play(state, act, self._decide)
        turn = Turn()
        turn.scene = scene = before.scene
        turn.parent, turn.act, turn.state = before, act, state
        turn.number = number = before.number + 1
        turn.text = text
        turn.shared = turn.truncated = False
        turn.terminated = ended = state.ended != ""
        self._word(turn, facts)
        state.memory.fold(act, facts)
        turn.over = over = ended or number >= limit
        if over:
            turn.truncated = not ended
            self._end(turn, facts)
        turn.told = facts
        late = number > scene.par
        if turn.plain and not late and not self._reward.extra:
            turn.terms, turn.reward, turn.total = self._nothing, 0.0, before.total
        else:
            turn.plain = False
            # A user's terms get facts of their own: what they do to them is nobody else's business.
            turn.terms = self._reward.score(turn.facts if self._reward.extra else facts, late, before.total)
            turn.reward = sum(turn.terms.values())
            turn.total = before.total + turn.reward
        turn.next = None
        if before.next is not None:
            self._remember(before, turn, action)
        return turn

    def state(self, turn: Turn) -> Any:
        """The environment's state at a turn; where a later turn has taken it over, it is played anew."""
        if turn.state is None:
            turn.state = self._replayed(turn)
        return turn.state

    def share(self, turn: Turn) -> Turn:
        """The turn, as one that several others will follow."""
        self.state(turn)
        turn.shared = True
        return turn

    def _take(self, before: Turn) -> Any:
        """A state to go on from: the turn's own where nothing else will follow it, else a copy."""
        state = before.state
        if state is not None and not before.shared and self._decide is None:
            before.state = None
            return state
        if state is None:
            state, before.shared = self.state(before), True
        return state.copy()

    def _replayed(self, turn: Turn) -> Any:
        """The state at a turn, played anew from the last turn before it whose state is at hand."""
        path: list[Turn] = []
        while turn.state is None and turn.parent is not None:
            path.append(turn)
            turn = turn.parent
        state = self._begun(turn) if turn.state is None else turn.state.copy()
        for each in reversed(path):
            if each.act is not None:
                self.parts.play(state, each.act, None)
            state.memory.fold(each.act, each.facts)
        return state

    def _begun(self, root: Turn) -> Any:
        state = self.parts.start(root.scene)
        state.memory.fold(None, self.parts.opening(state))
        return state

    def _opening(self, scene: Any) -> Turn:
        parts = self.parts
        turn = Turn()
        turn.state = state = parts.start(scene)
        facts = parts.opening(state)
        turn.scene, turn.parent, turn.act = scene, None, None
        turn.text, turn.content = "", parts.say(scene, facts, 0)
        turn.told = facts
        state.memory.fold(None, facts)
        turn.number, turn.next = 0, None
        turn.plain = True
        turn.shared = turn.terminated = turn.truncated = turn.over = False
        turn.reward = turn.total = 0.0
        turn.terms = self._nothing
        return turn

    def _word(self, turn: Turn, facts: list[Fact]) -> None:
        """The answer to an action: notes and results first, then the customer's words."""
        parts, lines, said, plain = self.parts, [], [], True
        for fact in facts:
            kind = fact["kind"]
            if kind == "said":
                said.append(fact)
            elif kind == "result":
                lines.append(parts.show(turn.scene, fact))
            else:
                lines.append(note(fact))
                plain = False
        if said:
            lines.append(parts.say(turn.scene, said, turn.number))
        turn.content = lines[0] if len(lines) == 1 else "\n".join(lines)
        turn.plain = plain

    def _end(self, turn: Turn, facts: list[Fact]) -> None:
        """Close the conversation: the end is a fact like any other, and pays the goal."""
        state = turn.state
        end: Fact = {"kind": "end", "why": state.ended or "out_of_turns", "goal": self.parts.goal(state)}
        line = note(end)
        facts.append(end)
        turn.plain = False
        turn.content = f"{turn.content}\n{line}" if turn.content else line

    def _remember(self, before: Turn, turn: Turn, action: Any) -> None:
        """Keep a turn under the text that leads to it, where that text alone does."""
        if before.next is None or turn.act is None or len(turn.text) + len(turn.content) > LONG:
            return
        if turn.text is action or action.__class__ is not str:
            before.next[turn.text], turn.told = turn, _encode(turn.told)
            if turn.over:
                turn.state = None
            else:
                turn.next = {}
            self._count += 1
            if self._count > KEPT:
                self._forget()

    def _forget(self) -> None:
        """Drop the older half of the scenes; whoever stands in one of them goes on undisturbed, but keeps no more."""
        for name in list(self._roots)[: len(self._roots) // 2 + 1]:
            self._count -= _release(self._roots.pop(name))


def _release(root: Turn | None) -> int:
    """Keep nothing under a root any more; back comes how many turns that were."""
    count, pending = 1, [root] if root else []
    while pending:
        turn = pending.pop()
        following = list((turn.next or {}).values())
        turn.next = None
        count += len(following)
        pending += following
    return count


def tell(info: dict[str, Any], facts: list[Fact]) -> None:
    """Put faults and the end into an info."""
    for fact in facts:
        kind = fact["kind"]
        if kind == "violation":
            info["violations"].append(fact["rule"])
        elif kind == "malformed" or kind == "refused":
            info[kind] = fact["why"]
        elif kind == "end":
            info["outcome"], info["is_success"] = fact["why"], fact["goal"] >= 1


_shared: dict[tuple[Parts, int | None, bool], Tree] = {}


def tree_of(parts: Parts, reward: Reward | None, decide: Decide | None, max_turns: int | None, strict: bool) -> Tree:
    """The tree that an environment walks: one for all like environments, its own where a user's code takes part."""
    if reward is not None or decide is not None:
        return Tree(parts, reward or Reward(), decide, strict)
    key = (parts, max_turns, strict)
    if key not in _shared:
        _shared[key] = Tree(parts, Reward(), None, strict)
    return _shared[key]
