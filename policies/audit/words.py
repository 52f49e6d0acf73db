"""Checks of the transcript: it only grows, says all that the facts say, and nothing that no fact says."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from .base import Case, Finding

WORD = re.compile(r"[\w@#](?:[\w@.#'-]*[\w@#])?")
HEADING = "Info keys\n"
ENTRY = re.compile(r"\s*[-*|]?\s*`(\w+)`")
WORDS_OF = {True: ("available", "true", "yes"), False: ("sold out", "false", "no"), None: ("no ", "none")}
"""A value without words of its own -> one of these stands for it."""
ENGINE = ("kind", "act", "no", "how", "words", "why", "term", "rule", "goal")
"""The fields of a fact that are the engine's own."""


def prefixes(case: Case) -> Iterator[Finding]:
    """Each observation is a prefix of the next, in a list of its own; a replay gives the same transcript."""
    observation, _ = case.env.reset(options={"scene": case.scene})
    seen = [(observation, json.dumps(observation))]
    for turn, action in enumerate(case.episode.actions, 1):
        observation = case.env.step(action)[0]
        last = seen[-1][0]["messages"]
        if observation["messages"] is last or observation["messages"][: len(last)] != last:
            yield case.finding(turn, "the observation is not the last one, in a new list, with more added")
        if observation["turn"] != turn or len(observation["messages"]) != len(last) + 2:
            yield case.finding(turn, f"turn {observation['turn']} has {len(observation['messages'])} messages")
        seen.append((observation, json.dumps(observation)))
    for turn, (observation, text) in enumerate(seen):
        if json.dumps(observation) != text:
            yield case.finding(turn, "the observation was changed after it had been handed out")
    if observation["messages"] != case.episode.messages:
        yield case.finding(case.episode.turns, "the same actions give another transcript")


def lacks(case: Case) -> Iterator[Finding]:
    """The newest message contains the words of every fact, and these words tell all that the fact holds."""
    for turn, (message, facts) in enumerate(told(case)):
        for fact in facts:
            words = fact.get("words")
            if words is None or any(part not in message for part in words):
                yield case.finding(turn, f"the message lacks the words {words!r} of the fact {fact!r}")
            for leaf in missing(fact, message):
                yield case.finding(turn, f"the message does not tell {leaf!r} of the fact {fact!r}")


def missing(fact: dict[str, Any], message: str) -> Iterator[Any]:
    """What a fact holds and its message does not tell."""
    if fact["kind"] == "result":
        text = message.casefold()
        yield from (leaf for leaf in shown(fact["shows"]) if not is_told(leaf, text))
    elif fact["kind"] == "said":
        # Enumerations (a reason, a kind of payment) are said in words of their own.
        for leaf in scalars(fact.get("value")):
            if isinstance(leaf, str) and is_hard(leaf) and leaf not in message:
                yield leaf


def shown(shows: dict[str, Any]) -> Iterator[Any]:
    """The values of a result, and the ids by which it holds records."""
    for key, value in shows.items():
        if isinstance(value, dict):
            yield from [key] if any(map(str.isdigit, key)) else []
            yield from shown(value)
        else:
            yield from scalars(value)


def is_told(leaf: Any, text: str) -> bool:
    """Whether a text tells a value."""
    if leaf is None or isinstance(leaf, bool):
        return any(word in text for word in WORDS_OF[leaf])
    return str(leaf).casefold() in text


def is_hard(leaf: str) -> bool:
    """Whether a text must be told to the letter: an id, a number, an address, a name."""
    return "@" in leaf or leaf != leaf.casefold() or any(map(str.isdigit, leaf))


def told(case: Case) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each message to the agent, with the facts that it carries."""
    messages = [message["content"] for message in case.episode.messages if message["role"] == "user"]
    yield from zip(messages, case.episode.facts, strict=False)


def leaks(case: Case) -> Iterator[Finding]:
    """No message tells a value of the scene that no fact has carried yet."""
    known: set[str] = set()
    strange: list[tuple[int, str]] = []
    spoken = [message["content"] for message in case.episode.messages if message["role"] == "assistant"]
    for turn, (message, facts) in enumerate(told(case)):
        # What the agent wrote may come back to it in a refusal.
        for text in [*spoken[max(turn - 1, 0) : turn], *map(visible, facts)]:
            known.update(WORD.findall(text))
        strange += [(turn, word) for word in hard_words(message) if word not in known]
    # The data of a large store take a while, and few conversations need the look.
    hidden = secrets(case.data()) if strange else set()
    for turn, word in strange:
        if word in hidden:
            yield case.finding(turn, f"the message tells {word!r}, and no fact has carried it")


def hard_words(message: str) -> Iterator[str]:
    """The words of a message that could be a value: with a digit, an @, or a capital within a sentence."""
    for found in WORD.finditer(message):
        word = found.group()
        plain = word.isalpha() and begins(message, found.start())
        if is_hard(word) and not plain and not word.startswith("I'") and word != "I":
            yield word


def begins(text: str, place: int) -> bool:
    """Whether a sentence begins there, so that any word would have a capital."""
    before = text[:place].rstrip()
    return not before or before[-1] in ".!?:\n"


def visible(fact: dict[str, Any]) -> str:
    """All that a fact says, but its words."""
    content = {key: value for key, value in fact.items() if key not in ENGINE}
    return " ".join([str(fact.get("why", "")), *(str(leaf) for leaf in (*scalars(content), *keys(content)))])


def secrets(scene: Any) -> set[str]:
    """The words of a scene's data that a reader could not guess: with a digit, an @ or a capital."""
    text = " ".join(str(leaf) for leaf in (*scalars(scene), *keys(scene)))
    return {word for word in WORD.findall(text) if is_hard(word) and len(word) > 1}


def infos(case: Case) -> Iterator[Finding]:
    """The info keys that the docs name are those that are emitted, on every step."""
    named = documented(type(case.env))
    for turn, info in enumerate(case.episode.infos):
        if missed := set(info) - named:
            yield case.finding(turn, f"info holds {sorted(missed)}, which the docstring's 'Info keys' do not name")
            return
        if absent := named - set(info):
            yield case.finding(turn, f"info lacks {sorted(absent)}, which the docstring's 'Info keys' name")


def documented(kind: type) -> set[str]:
    """The keys under 'Info keys' in a class's docstring: what the lines of its first table or list begin with."""
    docs = (inspect.cleandoc(base.__doc__ or "") for base in kind.__mro__)
    section = next((doc.partition(HEADING)[2] for doc in docs if HEADING in doc), "")
    found: set[str] = set()
    for line in section.split("\n"):
        named = ENTRY.match(line)
        if named:
            found.add(named.group(1))
        elif found:
            break
    return found


def scalars(value: Any) -> Iterator[Any]:
    """The scalars within a value: plain JSON, Structs, tuples, and objects with attributes."""
    value = opened(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple | set | frozenset):
        yield value
        return
    for item in value:
        yield from scalars(item)


def keys(value: Any) -> Iterator[str]:
    """The keys of all dicts within a value."""
    value = opened(value)
    if isinstance(value, dict):
        yield from map(str, value)
        value = value.values()
    elif not isinstance(value, list | tuple | set | frozenset):
        return
    for item in value:
        yield from keys(item)


def opened(value: Any) -> Any:
    """A Struct or another object as the dict of its fields."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return value  # also one that makes its values when they are looked at
    slots = getattr(value, "__slots__", None)
    if slots and not isinstance(value, str | int | float | tuple):
        return {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return vars(value) if hasattr(value, "__dict__") and not callable(value) else value
