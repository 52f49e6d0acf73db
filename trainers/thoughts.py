"""What the expert thinks before it acts: the words that it takes an id, a number or a meaning from.

An id alone does not tell why it is the right one, and a model that is to say it at once must find that out within one
step. The words around it in a tool's result do tell: "color white, size L: I33, price 3000". To write them first is to
look them up one after the other. So it is with what a customer says in words of their own: "I did not mean to order it"
is a reason, ordered_by_mistake. And what a record begins with, such as the status of an order, says what may be done:
it is read when the record is first shown.

An agent may think before its action; what it thinks is no part of the action.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..envs.memory import Fact

Message = Mapping[str, str]

OPEN, CLOSE = "<think>", "</think>"


def thoughtful(messages: Sequence[Message], facts: Iterable[Sequence[Fact]] = ()) -> list[Message]:
    """A transcript in which the agent thinks when a record is shown, and before it uses what only a tool has shown.

    And, where the facts are given that became visible in it, before it first uses what the customer meant.
    """
    meant = meanings(facts)
    begun: dict[str, str] = {}
    read = 0
    results: list[str] = []
    said = ""
    used: set[Any] = set()
    found: list[Message] = []
    for message in messages:
        content = message["content"]
        if message["role"] == "assistant":
            fresh = [value for value in values(content) if value not in used and not whole(value).search(said)]
            used.update(fresh)
            thoughts = [*[*begun.values()][read:], *quotes(results, fresh)]
            read = len(begun)
            for each in leaves(content):
                words = [words for words in meant.get(each, ()) if words in said]
                if words and each not in used:
                    used.add(each)
                    thoughts.append(words[-1])
            thought = "\n".join(thoughts)
            found.append({**message, "content": f"{OPEN}{thought}{CLOSE}{content}"} if thought else message)
        else:
            if content.startswith("["):
                results += content.split("\n")
                begun |= {name: parts for name, parts in beginnings(content).items() if name not in begun}
            elif message["role"] != "system":
                said += f"{content}\n"
            found.append(message)
    return found


def looked_up(messages: Sequence[Message], facts: Iterable[Sequence[Fact]] = ()) -> int:
    """How many records and sayings the thoughts of a transcript quote."""
    thoughts = [message["content"].partition(CLOSE)[0] for message in thoughtful(messages, facts)]
    return sum(thought.count("\n") + 1 for thought in thoughts if thought.startswith(OPEN))


def values(action: str) -> Iterator[str]:
    """The ids and numbers in an action, in their order; what is no action has none."""
    return (str(leaf) for leaf in leaves(action) if any(letter.isdigit() for letter in str(leaf)))


def leaves(action: str) -> Iterator[Any]:
    """All values in an action that consist of no others."""
    try:
        return _within(json.loads(action))
    except ValueError:
        return iter(())


def _within(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _within(part)
    else:
        yield value


def meanings(facts: Iterable[Sequence[Fact]]) -> dict[Any, list[str]]:
    """What the customer said in words of their own: what they meant, and the words, as often as they said it.

    What they want done is told by all of it, and is not looked up.
    """
    found: dict[Any, list[str]] = {}
    for fact in (fact for step in facts for fact in step):
        value = fact.get("value")
        if isinstance(value, str) and fact.get("field") != "request" and value not in fact["words"][0]:
            found.setdefault(value, []).append(fact["words"][0])
    return found


def whole(value: str) -> re.Pattern[str]:
    """A value that is no part of a longer word."""
    return re.compile(rf"(?<![\w.@]){re.escape(value)}(?![\w@])")


def beginnings(results: str) -> dict[str, str]:
    """The first parts of the records that results show, by their ids."""
    return {found["id"]: found["parts"] for found in BEGINS.finditer(results)}


BEGINS = re.compile(r"^\[\w+\] (?P<parts>(?P<id>\w*\d): [^;\n]+(; [^;\n]+)?)", re.MULTILINE)


def quotes(results: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The parts of results that values stand in, each once and whole."""
    found: dict[tuple[int, int], str] = {}
    for value in wanted:
        for place, result in enumerate(results):
            if match := whole(value).search(result):
                start = max(result.rfind("; ", 0, match.start()), result.find("] ")) + 2
                found[place, start] = bare(result[start:].split("; ", 1)[0])
                break
    return [*found.values()]


def bare(record: str) -> str:
    """A record without the commas between the features that lead to its id: their labels are what a customer says.

    One that begins with a name is what it is, and its features are read and not wished for.
    """
    features, colon, rest = record.partition(": ")
    return record if not colon or "(" in features else f"{features.replace(', ', ' ')}{colon}{rest}"
