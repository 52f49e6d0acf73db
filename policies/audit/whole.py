"""Checks of an environment as a whole: its cheap agents, another process, its splits, its openings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...envs.scenes import SPLITS
from .. import registry
from ..rollout import Episode, rollout
from .base import Finding, Stratum, Subject
from .trace import digests

ENTITIES = ("name", "email", "product", "address", "word")
"""The fields in which customers name persons, places and things."""
SENTENCE = re.compile(r"(?<=[.!?])\s+")
FEW = 0.05
"""The share of openings that may repeat an earlier one, where customers are made of enough parts to differ."""
FAR = 2_000
"""How many scenes of train are looked at on easy, at least: there all words of test are to be found."""


class Score(NamedTuple):
    """What an agent reaches on the scenes of a difficulty."""

    agent: str
    difficulty: str
    success: float
    mean: float
    example: Episode


def floors(subject: Subject, agent: str, size: int) -> Iterator[tuple[Score, Finding | None]]:
    """Each cheap agent stays at or under the success and the mean return that the environment declares."""
    most, best, why = subject.kind.parts.floors[agent]
    for difficulty in subject.difficulties:
        policy = registry.make(agent, subject.kind)
        episodes = []
        for split in SPLITS:
            env = subject.env((split, difficulty))
            episodes += [rollout(policy, env, scene) for scene in subject.scenes(env, 0, size)]
        success = sum(episode.success for episode in episodes) / len(episodes)
        mean = sum(episode.total for episode in episodes) / len(episodes)
        score = Score(agent, difficulty, success, mean, max(episodes, key=lambda episode: episode.total))
        # A sample decides to within one of its scenes.
        slack = 1 / len(episodes) + 1e-9
        broken = success > most + slack or mean > best + slack
        yield score, _too_high(score, most, best, why) if broken else None


def _too_high(score: Score, most: float, best: float, why: str) -> Finding:
    example = score.example
    what = f"{score.agent} reaches {score.success:.1%} and a mean return of {score.mean:+.3f} on {score.difficulty}; "
    what += f"its floor is {most:.1%} and {best:+.3f} ({why})"
    return Finding(example.scene, example.turns, what, example.messages)


def process(subject: Subject, played: list[tuple[Any, list[str]]]) -> Iterator[Finding]:
    """The same scenes and actions give the same bytes in another process, under another hash seed."""
    kind = subject.kind
    arguments = {key: str(value) if isinstance(value, Path) else value for key, value in subject.arguments.items()}
    job = {
        "kind": [kind.__module__, kind.__qualname__],
        "arguments": arguments,
        "played": played,
    }
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    paths = os.pathsep.join(filter(None, sys.path))
    there = subprocess.run(
        [sys.executable, "-m", f"{__package__}.trace"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths},
        check=False,
    )
    if there.returncode:
        yield Finding("", 0, f"the other process failed: {there.stderr[-2000:]}", [])
        return
    here = digests(kind, arguments, played)
    for (scene, _), one, other in zip(played, here, json.loads(there.stdout), strict=True):
        if one != other:
            yield Finding(str(scene), 0, "the same actions give other bytes in another process", [])


def openings(subject: Subject, stratum: Stratum, size: int) -> Iterator[Finding]:
    """Few openings repeat (where scenes are all of one kind, they are few by design)."""
    env = subject.env(stratum)
    scenes = subject.scenes(env, 0, size)
    heard = Counter(env.reset(options={"scene": scene})[0]["messages"][-1]["content"] for scene in scenes)
    repeated = 1 - len(heard) / len(scenes)
    if repeated > FEW and len({*subject.kind.parts.cycles[stratum[1]]}) > 1:
        text, times = heard.most_common(1)[0]
        what = f"{repeated:.1%} of {len(scenes)} openings on {'/'.join(stratum)} repeat an earlier one"
        yield Finding("", 0, f"{what}; {times} times: {text!r}", [])


class Said(NamedTuple):
    """What the customers of a split said: sentences, the things that they named, single words."""

    sentences: dict[str, str]
    entities: dict[str, str]
    words: dict[str, str]


def splits(subject: Subject, difficulty: str, size: int) -> Iterator[Finding]:
    """Test shares no sentence and no entity with train; on easy all its words are in train."""
    easy = difficulty == "easy"
    train = said(subject, ("train", difficulty), max(size, FAR) if easy else size)
    test = said(subject, ("test", difficulty), size)
    for text in test.sentences.keys() & train.sentences.keys():
        yield Finding(test.sentences[text], 0, f"the sentence {text!r} is in train too: {train.sentences[text]}", [])
    for text in test.entities.keys() & train.entities.keys():
        yield Finding(test.entities[text], 0, f"{text} is in train too: {train.entities[text]}", [])
    for word in test.words.keys() - train.words.keys() if easy else ():
        yield Finding(test.words[word], 0, f"the word {word!r} is in no scene of train that was looked at", [])


def said(subject: Subject, stratum: Stratum, size: int) -> Said:
    """What customers say to the expert."""
    env, expert, found = subject.env(stratum), registry.make("expert", subject.kind), Said({}, {}, {})
    for scene in subject.scenes(env, 0, size):
        episode = rollout(expert, env, scene)
        users = [message["content"] for message in episode.messages if message["role"] == "user"]
        for text, facts in zip(users, episode.facts, strict=True):
            if any(fact["kind"] == "said" for fact in facts):
                own = "\n".join(line for line in text.split("\n") if not line.startswith("["))
                _take(found, own, facts, episode.scene, stratum[1])
    return found


def _take(found: Said, text: str, facts: list[dict[str, Any]], scene: str, difficulty: str) -> None:
    for sentence in filter(None, SENTENCE.split(text)):
        found.sentences.setdefault(sentence, scene)
        for word in sentence.casefold().split():
            # An e-mail address is an entity, of which none is shared.
            if "@" not in word:
                found.words.setdefault(word.strip(".,!?;:"), scene)
    for fact in facts:
        if fact.get("field") in ENTITIES and fact.get("value") is not None:
            entity = json.dumps(fact["value"], sort_keys=True)
            # On easy single words are shared by design.
            if difficulty != "easy" or " " in entity or "@" in entity:
                found.entities.setdefault(entity, scene)
