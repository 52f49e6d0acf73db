"""Planted faults: environments that are unsound in one way each, so that the audit can be audited."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ...envs.actions import Action
from ...envs.conversation import Observation
from ...envs.customer_service.actions import Refuse
from ...envs.errors import ResetNeeded
from ...envs.memory import Fact
from ...envs.parts import Decide
from ...envs.scenes import DIFFICULTIES
from ..base import Kind
from .faults_reachable import (
    BindsByTheOrderOfReading,
    CrashesRarely,
    HasNoSolution,
    HasteIsPaid,
    LocksSilently,
    OrdersAlone,
    PeeksAtThePlot,
)
from .jobs import QUICK
from .planted import SOUND, Planted
from .run import audit

Step = tuple[Observation, float, bool, bool, dict[str, Any]]
SIZE = QUICK._replace(scenes=24, deep=24, floors=24, openings=100, fuzz=2_000)
EASY = ("easy",)
"""Where faults are looked for state by state: there scenes are small."""


def _pays_a_promise(state: Any) -> float:
    return max(SOUND.goal(state), float(bool(state.memory.agreed)))


class GoalWithoutTheWrite(Planted):
    """The customer's yes is paid as if the change had been made."""

    parts = replace(SOUND, goal=_pays_a_promise)


def _accepts_the_start(state: Any) -> float:
    settled = len(state.mind.settled) == len(state.scene.plot.requests)
    untouched = state.store.key() == SOUND.start(state.scene).store.key()
    return max(SOUND.goal(state), float(settled and untouched))


class WrongEnd(Planted):
    """The records as they were at the start are accepted as an end."""

    parts = replace(SOUND, goal=_accepts_the_start)


def _tells_an_id(scene: Any, facts: Sequence[Fact], turn: int) -> str:
    return f"{SOUND.say(scene, facts, turn)} I am {scene.plot.customer}."


class HiddenTold(Planted):
    """The customer tells an id that no fact carries."""

    parts = replace(SOUND, say=_tells_an_id)


def _drops_the_total(scene: Any, fact: Fact) -> str:
    line = re.sub(r" total \d+;", "", SOUND.show(scene, fact))
    fact["words"] = [line]
    return line


class WordsMissing(Planted):
    """The order's total is a fact, and is not shown."""

    parts = replace(SOUND, show=_drops_the_total)


def _says_by_hash(scene: Any, facts: Sequence[Fact], turn: int) -> str:
    words = SOUND.say(scene, facts, turn)
    return words if hash(words) & 1 else f"{words} Well then."


class WordsByHash(Planted):
    """Words are chosen by hash(), which differs from process to process."""

    parts = replace(SOUND, say=_says_by_hash)


def _hates_repetition(state: Any) -> float:
    return SOUND.goal(state) * all(times == 1 for times in state.memory.done.values())


class ReadsSpoil(Planted):
    """Whoever reads a record twice loses the goal."""

    parts = replace(SOUND, goal=_hates_repetition)


def _wants_its_order(state: Any) -> float:
    wanted = [request.goal.action for request in state.scene.plot.requests if request.goal.action]
    return SOUND.goal(state) * ([action for action in state.memory.done if action in wanted] == wanted)


class FixedOrder(Planted):
    """Changes count only in the order in which they were asked for."""

    parts = replace(SOUND, goal=_wants_its_order)


class UndocumentedInfo(Planted):
    """An info key that the docs do not name."""

    def step(self, action: Any) -> Step:
        """As ever, with one key more."""
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "debug": len(self.memory.done)}


class SharedMessages(Planted):
    """All observations hold the same list of messages."""

    def reset(self, **arguments: Any) -> tuple[Observation, dict[str, Any]]:
        """Begin the list."""
        observation, info = super().reset(**arguments)
        self._kept: list[dict[str, str]] = observation["messages"]
        return observation, info

    def step(self, action: Any) -> Step:
        """Add to the list that was handed out before."""
        observation, reward, terminated, truncated, info = super().step(action)
        self._kept += observation["messages"][len(self._kept) :]
        return {**observation, "messages": self._kept}, reward, terminated, truncated, info


class HiddenPenalty(Planted):
    """Long talk costs, and no fact says so."""

    def step(self, action: Any) -> Step:
        """As ever, and a little less."""
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward - 0.01 * (observation["turn"] > 3), terminated, truncated, info


class StepAfterTheEnd(Planted):
    """A step after the end gives the end once more."""

    def step(self, action: Any) -> Step:
        """As ever, and for ever."""
        with contextlib.suppress(ResetNeeded):
            self._last = super().step(action)
        return self._last


def _takes_any_no(state: Any, act: Action, decide: Decide | None) -> list[Fact]:
    facts = SOUND.play(state, act, decide)
    if not isinstance(act, Refuse):
        return facts
    no = len(state.mind.settled)
    state.mind.settled.add(no)
    return [{"kind": "said", "act": "accept", "no": no, "how": "accept_refusal"}]


class RefuseAllPays(Planted):
    """Customers take no for an answer, whatever the reason."""

    parts = replace(SOUND, play=_takes_any_no)


FAULTS: dict[Kind, str] = {
    GoalWithoutTheWrite: "writes",
    WrongEnd: "ends",
    HiddenTold: "leaks",
    WordsMissing: "lacks",
    WordsByHash: "process",
    ReadsSpoil: "reads",
    FixedOrder: "order",
    UndocumentedInfo: "infos",
    SharedMessages: "prefixes",
    HiddenPenalty: "returns",
    StepAfterTheEnd: "ended",
    RefuseAllPays: "floors",
    HasteIsPaid: "reachable",
    OrdersAlone: "reachable",
    HasNoSolution: "reachable",
    LocksSilently: "reachable",
    PeeksAtThePlot: "reachable",
    CrashesRarely: "reachable",
    BindsByTheOrderOfReading: "reachable",
}
"""Planted fault -> the check that must catch it."""


class Caught(NamedTuple):
    """What the check that must catch a fault says of it."""

    fault: str
    check: str
    caught: bool
    what: str


def caught(fault: Kind) -> Caught:
    """Put a planted fault to the check that must catch it."""
    check = FAULTS[fault]
    difficulties = EASY if check == "reachable" else DIFFICULTIES
    (outcome,) = audit(fault, SIZE, (check,), jobs=1, difficulties=difficulties).outcomes.values()
    what = outcome.findings[0].what if outcome.findings else ""
    return Caught(fault.__name__, check, outcome.wrong > 0, what)
