"""Checks of one conversation: what it pays, what it takes to be paid, and what does not matter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from ...envs.actions import Act, Action
from ...envs.conversation import ConversationEnv
from ...envs.errors import ResetNeeded
from ...envs.spaces import JSON
from ...rewards.terms import Reward
from ..rollout import Episode
from .base import Case, Finding, enact, follow, play
from .words import scalars

READS = ("find_", "get_", "list_")
"""How the names of reads begin; every other act on the world is a write."""
MANY = 6
"""How many reads are tried, and how many orders of writes."""


def expert(case: Case) -> Iterator[Finding]:
    """The expert returns exactly 1, with nothing refused, malformed or against the house rules."""
    episode = case.episode
    if episode.total != 1 or not episode.success:
        yield case.finding(episode.turns, f"the expert's return is {episode.total}, its end {episode.outcome!r}")
    for turn, info in enumerate(episode.infos):
        if reason := info["refused"] or info["malformed"] or ", ".join(info["violations"]):
            yield case.finding(turn, f"an action of the expert's is at fault: {reason}")


def writes(case: Case) -> Iterator[Finding]:
    """Each write that is left out costs the goal, and so does all else that settles a request."""
    actions = case.episode.actions
    close = case.env.parts.actions.by_name.get("close")
    for turn, action in enumerate(actions, 1):
        if settles(action, case.episode.infos[turn]["facts"]):
            left = [*actions[: turn - 1], *actions[turn:], *([close()] if close else [])]
            without = play(case.env, case.scene, left)
            if without.terms.get("goal", 0.0) >= 1:
                yield case.finding(turn, f"the goal is paid without {action!r}", without)


def settles(action: Any, facts: list[dict[str, Any]]) -> bool:
    """Whether an action changed the world, or was what the customer had waited for."""
    if isinstance(action, Act):
        return not is_read(action) and any(fact["kind"] == "result" for fact in facts)
    return any(fact.get("act") == "accept" for fact in facts) and not hasattr(action, "action")


def reads(case: Case) -> Iterator[Finding]:
    """Further reads do not cost the goal."""
    actions = case.episode.actions
    room = case.data().limit - len(actions)
    for turn in {len(actions) // 2, max(len(actions) - 1, 0)}:
        episode = play(case.env, case.scene, actions[:turn])
        tried = _read_on(case.env, episode, room)
        follow(case.env, episode, actions[turn:])
        if tried and episode.terms.get("goal", 0.0) < 1:
            yield case.finding(turn, f"the goal is lost by reading: {tried!r}", episode)


def _read_on(env: ConversationEnv, episode: Episode, room: int) -> list[Action]:
    """Read what can be read without a breach, while there is room."""
    ids = list(dict.fromkeys(str(leaf) for leaf in scalars(env.memory.seen) if any(map(str.isdigit, str(leaf)))))
    done: list[Action] = []
    for action in itertools.chain.from_iterable(_reads_of(kind, ids) for kind in env.parts.actions.types):
        if len(done) >= min(room, MANY):
            break
        before = env.snapshot()
        observation, reward, _, cut, info = env.step(action)
        if [fact["kind"] for fact in info["facts"]] == ["result"]:
            episode.add(action, observation, float(reward), cut, info)
            done.append(action)
        else:
            env.restore(before)
    return done


def _reads_of(kind: type[Action], ids: list[str]) -> list[Action]:
    """The reads of a type: as it is where it needs nothing, else for each id."""
    needed = [field.name for field in msgspec.structs.fields(kind) if field.required]
    if not is_read(kind) or len(needed) > 1:
        return []
    if not needed:
        return [] if msgspec.structs.fields(kind) else [kind()]
    prefix = needed[0][:1].upper()
    return [kind(**{needed[0]: name}) for name in ids if name.startswith(prefix)][:MANY]


def is_read(action: Action | type[Action]) -> bool:
    """Whether an act on the world changes nothing, by its name."""
    kind = action if isinstance(action, type) else type(action)
    return issubclass(kind, Act) and str(kind.__struct_config__.tag).startswith(READS)


def ends(case: Case) -> Iterator[Finding]:
    """Accepted ends are where the customer's own goals lead, and only what they lead to is paid."""
    scene, parts = case.data(), case.env.parts
    plot = scene.plot
    reached = set()
    for way in plot.accepted_ends or (tuple(_wanted(plot)),):
        state = parts.start(scene)
        state.mind.settled.update(range(len(plot.requests)))
        if way and parts.goal(state) >= 1:
            yield case.finding(0, "the goal is reached before anything is done")
        for write in way:
            outcome = state.store.apply(write)
            if not hasattr(outcome, "shows"):
                yield case.finding(0, f"the customer wants {write!r}, which is refused: {outcome.reason}")
        reached.add(state.store.key())
        if parts.goal(state) < 1:
            yield case.finding(0, f"what the customer wants is not paid: {way!r}")
    if reached != set(scene.accepted()):
        yield case.finding(0, "the accepted ends are not those that the customer's goals lead to")


def order(case: Case) -> Iterator[Finding]:
    """Independent writes may come in any order."""
    scene, parts = case.data(), case.env.parts
    plot = scene.plot
    wanted = _wanted(plot)
    for turned in itertools.islice(itertools.permutations(wanted), 1, MANY):
        # All is voiced and agreed to, and only the writes are left.
        state = parts.start(scene)
        state.mind.voiced = len(plot.requests)
        state.mind.settled.update({*range(len(plot.requests))} - {*wanted.values()})
        state.memory.agreed.update(wanted)
        refused = [fact["why"] for write in turned for fact in enact(parts, state, write) if fact["kind"] == "refused"]
        if parts.goal(state) < 1:
            yield case.finding(0, f"the goal is lost by the order {turned!r} {refused}")


def has_reads(case: Case) -> bool:
    """Whether there is anything to read."""
    return any(map(is_read, case.env.parts.actions.types))


def has_goals(case: Case) -> bool:
    """Whether the scene says what its customer wants."""
    return hasattr(case.data(), "plot")


def has_several(case: Case) -> bool:
    """Whether the customer wants several changes, and in no way that they laid down."""
    plot = getattr(case.data(), "plot", None)
    return plot is not None and not plot.accepted_ends and len(_wanted(plot)) > 1


def _wanted(plot: Any) -> dict[Action, int]:
    """The changes that a customer wants -> the requests that they serve."""
    return {request.goal.action: no for no, request in enumerate(plot.requests) if request.goal.action is not None}


def snapshots(case: Case) -> Iterator[Finding]:
    """A conversation that is taken up from a snapshot goes on as if nothing had been tried in between."""
    actions, env = case.episode.actions, case.env
    again = play(env, case.scene, ())
    space = JSON(env.parts.actions.schema, seed=len(actions))
    for turn, action in enumerate(actions):
        before, known = env.snapshot(), env.memory.key()
        for branch in ([action, "", *actions[turn + 1 : turn + 3]], [*_others(case, turn), space.sample()]):
            follow(env, Episode(), branch)
            observation, info = env.restore(before)
            if observation["messages"] != again.messages or info["facts"] != again.facts[-1]:
                yield case.finding(
                    turn, f"restore() does not give back what the snapshot held, after {branch!r}", again
                )
            if env.memory.key() != known:
                yield case.finding(turn, f"a branch is remembered where it was left: {branch!r}", again)
        follow(env, again, [action])
    straight = case.episode
    if (again.messages, again.rewards, again.infos) != (straight.messages, straight.rewards, straight.infos):
        yield case.finding(case.episode.turns, "branches change the conversation that they leave", again)


def _others(case: Case, turn: int) -> list[Any]:
    """What the expert would not do at a turn: no action at all, and the example of some type, another each turn."""
    examples = [example for kind in case.env.parts.actions.types for example in kind.examples]
    proposals = [example for example in examples if "action" in example]
    return ['{"type":', *proposals, examples[turn % len(examples)]]


def kept(case: Case) -> Iterator[Finding]:
    """A turn that is met again is as it was when it was new, whatever was met before."""
    met: list[Any] = [None, *case.episode.actions[:1]]
    # What the transcript shows of an action may come as an action too, and mean something else.
    met += [play(case.env, case.scene, [action]).messages[-2]["content"] for action in met]
    for action in [*met, *met]:
        again, new = (play(env, case.scene, [action]) for env in (case.env, case.fresh()))
        if (again.messages, again.rewards, again.infos) != (new.messages, new.rewards, new.infos):
            yield case.finding(1, f"{action!r} gives something else where it is new", again)


def ended(case: Case) -> Iterator[Finding]:
    """A step after the end is a clear error."""
    play(case.env, case.scene, case.episode.actions)
    try:
        case.env.step(case.episode.actions[-1])
    except ResetNeeded:
        return
    yield case.finding(case.episode.turns, "a step after the end is played")


def returns(case: Case) -> Iterator[Finding]:
    """What is paid follows from the facts alone, lies in [-1, 1], and is never above 0 where the goal failed."""
    before, reward, episode = 0.0, Reward(), case.episode
    for turn, (info, paid) in enumerate(zip(episode.infos[1:], episode.rewards, strict=True), 1):
        terms = reward.score(info["facts"], turn > episode.par, before)
        if terms != info["reward_terms"] or sum(terms.values()) != paid:
            yield case.finding(turn, f"{paid} was paid as {info['reward_terms']}, and the facts make {terms}")
        before += paid
    goal = sum(fact["goal"] for facts in episode.facts for fact in facts if fact["kind"] == "end")
    if not -1 - 1e-9 <= before <= 1 + 1e-9 or (goal <= 0 and before > 1e-9):
        yield case.finding(episode.turns, f"the return {before} is out of its bounds (the goal paid {goal})")
    if episode.success != (goal >= 1):
        yield case.finding(episode.turns, f"is_success is {episode.success}, and the goal paid {goal}")
