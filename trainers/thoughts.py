"""What the expert thinks before it acts: the words of the records that it takes an id or a number from.

An id alone does not tell why it is the right one, and a model that is to say it at once must find that out within one
step. The words around it in a tool's result do tell: "color white, size L: I33, price 3000". To write them first is to
look them up one after the other. An agent may think before its action; what it thinks is no part of the action.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Message = Mapping[str, str]

OPEN, CLOSE = "<think>", "</think>"


def thoughtful(messages: Sequence[Message]) -> list[Message]:
    """A transcript in which the agent thinks before it first uses what a tool alone has shown."""
    results: list[str] = []
    said = ""
    used: set[str] = set()
    found: list[Message] = []
    for message in messages:
        content = message["content"]
        if message["role"] == "assistant":
            fresh = [value for value in values(content) if value not in used and not whole(value).search(said)]
            used.update(fresh)
            thought = "\n".join(quotes(results, fresh))
            found.append({**message, "content": f"{OPEN}{thought}{CLOSE}{content}"} if thought else message)
        else:
            if content.startswith("["):
                results += content.split("\n")
            elif message["role"] != "system":
                said += f"{content}\n"
            found.append(message)
    return found


def looked_up(messages: Sequence[Message]) -> int:
    """How many records the thoughts of a transcript quote."""
    thoughts = [message["content"].partition(CLOSE)[0] for message in thoughtful(messages)]
    return sum(thought.count("\n") + 1 for thought in thoughts if thought.startswith(OPEN))


def values(action: str) -> Iterator[str]:
    """The ids and numbers in an action, in their order; what is no action has none."""
    try:
        yield from _leaves(json.loads(action))
    except ValueError:
        return


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)
    elif not isinstance(value, bool) and any(letter.isdigit() for letter in str(value)):
        yield str(value)


def whole(value: str) -> re.Pattern[str]:
    """A value that is no part of a longer word."""
    return re.compile(rf"(?<![\w.@]){re.escape(value)}(?![\w@])")


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
