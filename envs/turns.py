"""Turns: a conversation as a path through a tree of turns that are never changed once made.

What a turn brings is a pure function of its scene and the actions before it. So turns are made once and met again: by the
next episode of the same scene, by the members of a group that start from one snapshot, by a search that branches. A bounded
number of them is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..rewards.terms import Reward
from .actions import Action
from .errors import InvalidAction
from .memory import Fact
from .parse import Malformed, Parser, transcribe
from .parts import Decide, Parts
from .wording import note

KEPT = 50_000
"""How many turns a tree keeps."""
LONG = 2_000
"""Characters of an action text beyond which its turn is not kept."""


class Turn:
    """One point of a conversation: what the agent did, what came of it, and where it stands."""

    __slots__ = (
        "act", "content", "facts", "next", "note", "number", "over", "parent", "reward", "scene", "state",
        "terminated", "terms", "text", "total", "truncated",
    )  # fmt: skip

    act: Action | None
    text: str
    """The agent's words, exactly as given."""
    content: str
    """The answer to them."""
    facts: list[Fact]
    terms: dict[str, float]
    note: dict[str, Any]
    """What the info says beside facts and terms."""
    state: Any
    """The environment's state here; None once a later turn has taken it over."""
    next: dict[str, Turn]
    """Action text -> the turn it leads to."""

    def info(self) -> dict[str, Any]:
        """The info of this turn: the same keys, of the same types, at every turn."""
        return {"facts": [fact.copy() for fact in self.facts], "reward_terms": self.terms.copy(), **self.note}

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
    """Makes turns, and keeps those that other episodes will meet."""

    def __init__(self, parts: Parts, reward: Reward, decide: Decide | None) -> None:
        self._parts, self._reward, self._decide = parts, reward, decide
        self._parser = Parser(parts.actions)
        self._roots: dict[Any, Turn] = {}
        self._count = 0

    def root(self, scene: Any) -> Turn:
        """The opening of a scene."""
        turn = self._roots.get(scene)
        if turn is None:
            turn = self._opening(scene)
            self._keep(scene, turn)
        return turn

    def grow(self, before: Turn, action: Any, limit: int, strict: bool) -> Turn:
        """The turn that an action leads to; `strict` raises where the action is malformed."""
        parts = self._parts
        act = self._parser.parse(action)
        if act.__class__ is Malformed:
            if strict:
                raise InvalidAction(f"{parts.name}: malformed action: {act.reason}")
            facts: list[Fact] = [{"kind": "malformed", "why": act.reason}]
            state = self._take(before)
            act = None
        else:
            state = self._take(before)
            facts = parts.play(state, act, self._decide)
        turn = Turn()
        turn.scene, turn.parent, turn.act, turn.state, turn.next = before.scene, before, act, state, {}
        turn.number = number = before.number + 1
        turn.text = action if action.__class__ is str else transcribe(parts.actions, action)
        turn.content = self._content(turn.scene, facts, number)
        state.memory.fold(act, facts)
        turn.terminated = state.ended != ""
        turn.truncated = not turn.terminated and number >= limit
        turn.over = turn.terminated or turn.truncated
        if turn.over:
            self._end(turn, facts)
        turn.facts = facts
        turn.terms = self._reward.score(facts, number > turn.scene.par, before.total)
        turn.reward = sum(turn.terms.values())
        turn.total = before.total + turn.reward
        turn.note = _note(turn.scene, facts)
        if action.__class__ is str and len(action) <= LONG and self._decide is None:
            self._remember(before, turn)
        return turn

    def state(self, turn: Turn) -> Any:
        """The environment's state at a turn; where a later turn has taken it over, it is played again from the opening."""
        if turn.state is None:
            turn.state = self._replayed(turn)
        return turn.state

    def _take(self, before: Turn) -> Any:
        """A state to go on from: the turn's own the first time, a copy once others branch off or may come back."""
        if before.state is None:
            before.state = self._replayed(before)
        elif not before.next and self._decide is None:
            state, before.state = before.state, None
            return state
        return before.state.copy()

    def _replayed(self, turn: Turn) -> Any:
        state = self._parts.start(turn.scene)
        state.memory.fold(None, self._parts.opening(state))
        for each in turn.path()[1:]:
            if each.act is not None:
                self._parts.play(state, each.act, None)
            state.memory.fold(each.act, each.facts)
        return state

    def _opening(self, scene: Any) -> Turn:
        parts = self._parts
        turn = Turn()
        turn.state = state = parts.start(scene)
        turn.facts = facts = parts.opening(state)
        turn.scene, turn.parent, turn.act, turn.next = scene, None, None, {}
        turn.text, turn.content = "", parts.say(scene, facts, 0)
        state.memory.fold(None, facts)
        turn.number = 0
        turn.terminated = turn.truncated = turn.over = False
        turn.reward = turn.total = 0.0
        turn.terms = self._reward.score((), False, 0.0)
        turn.note = _note(scene, facts)
        return turn

    def _content(self, scene: Any, facts: list[Fact], number: int) -> str:
        """The answer to an action: notes and results first, then the customer's words."""
        parts, lines, said = self._parts, [], []
        for fact in facts:
            kind = fact["kind"]
            if kind == "said":
                said.append(fact)
            else:
                lines.append(parts.show(scene, fact) if kind == "result" else note(fact))
        if said:
            lines.append(parts.say(scene, said, number))
        return lines[0] if len(lines) == 1 else "\n".join(lines)

    def _end(self, turn: Turn, facts: list[Fact]) -> None:
        """Close the conversation: the end is a fact like any other, and pays the goal."""
        state = turn.state
        end: Fact = {"kind": "end", "why": state.ended or "out_of_turns", "goal": self._parts.goal(state)}
        line = note(end)
        facts.append(end)
        turn.content = f"{turn.content}\n{line}" if turn.content else line

    def _remember(self, before: Turn, turn: Turn) -> None:
        before.next[turn.text] = turn
        self._count += 1
        if self._count > KEPT:
            self._forget()

    def _forget(self) -> None:
        """Drop the older half of the scenes; whoever stands in one of them goes on undisturbed."""
        for scene in list(self._roots)[: len(self._roots) // 2 + 1]:
            self._count -= _size(self._roots.pop(scene))

    def _keep(self, scene: Any, root: Turn) -> None:
        self._roots[scene] = root
        self._count += 1


def _size(root: Turn) -> int:
    """How many turns hang together under a root."""
    count, pending = 0, [root]
    while pending:
        turn = pending.pop()
        count += 1
        pending.extend(turn.next.values())
    return count


def _note(scene: Any, facts: list[Fact]) -> dict[str, Any]:
    """What the info says of a step beside its facts and terms."""
    malformed = refused = outcome = ""
    violations: list[str] = []
    success = False
    for fact in facts:
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
    return {
        "scene": scene.name,
        "kind": scene.kind,
        "par": scene.par,
        "malformed": malformed,
        "refused": refused,
        "violations": violations,
        "outcome": outcome,
        "is_success": success,
    }


_shared: dict[tuple[str, int | None], Tree] = {}


def tree_of(parts: Parts, reward: Reward | None, decide: Decide | None, max_turns: int | None) -> Tree:
    """The tree that an environment walks: one a process for like environments, its own where a user's code takes part."""
    if reward is not None or decide is not None:
        return Tree(parts, reward or Reward(), decide)
    key = (parts.name, max_turns)
    if key not in _shared:
        _shared[key] = Tree(parts, Reward(), None)
    return _shared[key]
