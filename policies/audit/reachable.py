"""Model checking: all that a scene can be led into, state by state; what is wrong is told as a conversation."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...envs.catalogue import Catalogue
from ...envs.conversation import ConversationEnv
from ...envs.discrete import catalogue_of
from ...envs.memory import Memory
from ...envs.parts import Parts
from ...envs.table import Table
from ...envs.tabular import tabulate
from .. import registry
from ..rollout import Episode, rollout
from .base import BUGS, Coverage, Finding, Subject
from .judges import JUDGES
from .paths import Edges, Returns, stuck, traps
from .walks import EDGE, Shown, Walker

WALKS = 8
"""Random walks through a scene."""
NOTHING = -1.0
"""The least return."""
UNMARKED = {"Echo-v0": "a wrong word is told as such at the end alone, as its page says"}
"""Environment -> the dead ends that nothing marks, where its documentation declares them."""
Fault = tuple[str, tuple[int, ...]]
"""What is wrong, and the templates that lead there."""


class Checked(NamedTuple):
    """What came of a scene."""

    kind: str
    coverage: Coverage
    findings: list[Finding]


def reachable(subject: Subject, env: ConversationEnv, scene: Any, cap: int, shown: Shown) -> Checked:
    """In no state that a scene can be led into do breaches pay, wrong ends succeed, steps fail, ways out lack, or features, masks and bound actions tell more than was shown."""  # noqa: E501
    catalogue = catalogue_of(env)
    table, broken = _explored(subject, scene, cap)
    found: list[Fault] = [] if broken is None else [(broken, ())]
    coverage = Coverage(1, 0, 0, 0)
    if table is not None:
        coverage = Coverage(1, int(table.whole), table.expanded, table.found)
        walker = Walker(env, catalogue, scene, table, shown)
        if broken is not None:
            walker.frontier()
            found = [] if "raises" in walker.wrong else found
        walker.everywhere()
        walker.at_random(WALKS)
        found += _of_returns(table, _expert(subject, env, scene))
        found += _of_ways_out(table, env.parts.name in UNMARKED)
        found += [(f"{each.what}{_more(each.times)}", each.path) for each in walker.wrong.values()]
    told = _Teller(env, catalogue, scene, coverage)
    return Checked(table.kind if table else "not begun", coverage, [told.finding(*fault) for fault in found])


def note_of(parts: Parts) -> str:
    """What the check leaves out for an environment."""
    if parts.catalogue is None:
        return f"{parts.name} has no discrete view, so that there is nothing to explore"
    left_out = []
    if parts.name not in JUDGES:
        left_out.append(f"{parts.name} has no second judge of success, so that what its ends pay is not verified")
    if parts.name in UNMARKED:
        left_out.append(f"dead ends are declared: {UNMARKED[parts.name]}")
    return "; ".join(left_out)


def _more(times: int) -> str:
    return f" (and {times - 1:,} times more in this scene)" if times > 1 else ""


def _explored(subject: Subject, scene: Any, cap: int) -> tuple[Table | None, str | None]:
    """A scene's table; where exploring it fails, the largest that does not, and what it fails by."""
    table, why, most, least = None, None, cap, 0
    while most > least:
        size = most if why is None else (most + least + 1) // 2
        try:
            table, least = tabulate(subject.kind, scene, cap=size, arguments=subject.arguments), size
        except BUGS:
            why, most = traceback.format_exc(limit=-3), size - 1
    return table, why and f"the environment raises while it is explored: {why}"


def _expert(subject: Subject, env: ConversationEnv, scene: Any) -> Episode | str:
    """The expert's conversation, or why there is none."""
    try:
        return rollout(registry.make("expert", subject.kind), env, scene)
    except BUGS:
        return f"the expert cannot play: {traceback.format_exc(limit=-3)}"


def _of_returns(table: Table, expert: Episode | str) -> Iterator[Fault]:
    """What is wrong with the returns that can be had."""
    if isinstance(expert, str):
        yield expert, ()
        return
    returns = Returns(Edges(table))
    best = returns.best()
    flawless = max(best.flawless, NOTHING if expert.violations else expert.total)
    if best.any > 1 + EDGE:
        path = returns.path(breach=best.breaching > best.flawless)
        yield f"a return of {best.any:.2f} can be had, and 1 is the most there is", path
    # Of a scene that is not whole, what pays best may lie in the part that was not explored.
    bar = flawless if table.whole else max(flawless, 1.0)
    if best.breaching > bar - EDGE:
        what = f"a path with a breach returns {best.breaching:.2f}, and flawless play {bar:.2f} at best"
        yield what, returns.path(breach=True)
    if table.whole and best.flawless < 1 - EDGE:
        yield f"the scene has no solution: flawless play returns {best.flawless:.2f} at best", ()
    if expert.total < min(best.flawless, 1.0) - EDGE:
        what = f"the expert returns {expert.total:.2f}, and {best.flawless:.2f} can be had"
        yield what, returns.path(breach=False)


def _of_ways_out(table: Table, declared: bool) -> Iterator[Fault]:
    """States that offer nothing, and dead ends that nothing marks and no documentation declares."""
    for state in stuck(table)[:1].tolist():
        yield "nothing is allowed here, and the conversation has not ended", tuple(table.path(state))
    trapped = None if declared else traps(Edges(table))
    if trapped is not None:
        what = "success is out of reach from here on, and no fault has marked it"
        yield f"{what}{_more(trapped.states)}", tuple(trapped.path)


class _Teller:
    """Tells what is wrong in a scene, with the conversation that shows it."""

    def __init__(self, env: ConversationEnv, catalogue: Catalogue, scene: Any, coverage: Coverage) -> None:
        self._env, self._catalogue, self._scene, self._coverage = env, catalogue, scene, coverage

    def finding(self, what: str, path: tuple[int, ...]) -> Finding:
        """The finding, with how much of the scene was seen."""
        name, messages = self._conversation(path)
        return Finding(name, len(path), f"{what} [{self._coverage}]", messages)

    def _conversation(self, path: tuple[int, ...]) -> tuple[str, list[dict[str, str]]]:
        """The transcript of a path, with what each step pays; up to where the environment raises."""
        env, messages, name, total = self._env, list[dict[str, str]](), str(self._scene), 0.0
        chosen: Any = None
        try:
            observation, info = env.reset(options={"scene": self._scene})
            name, memory, messages = info["scene"], Memory(), list(observation["messages"])
            memory.fold(None, info["facts"])
            for index in path:
                chosen = self._catalogue.chosen(index, self._catalogue.look(memory))
                observation, reward, _, _, info = env.step(chosen)
                total += float(reward)
                messages += observation["messages"][-2:]
                messages.append({"role": "reward", "content": _paid(info["reward_terms"], total)})
                memory.fold(None if isinstance(chosen, str) else chosen, info["facts"])
        except BUGS as error:
            if chosen is not None:
                text = chosen if isinstance(chosen, str) else env.parts.actions.encode(chosen)
                messages.append({"role": "assistant", "content": text})
            messages.append({"role": "error", "content": f"{type(error).__name__}: {error}"})
        return name, messages


def _paid(terms: dict[str, float], total: float) -> str:
    each = ", ".join(f"{name} {value:+.2f}" for name, value in terms.items() if value)
    return f"paid {sum(terms.values()):+.2f}{each and f' ({each})'}; the return is {total:+.2f}"
