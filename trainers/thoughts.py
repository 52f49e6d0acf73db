"""What the expert thinks before it acts: the words of the records that it takes an id or a number from.

An id alone does not tell why it is the right one, and a model that is to say it at once must find that out within one
step. The words before it in a tool's result do tell: "color white, size L: I33". To write them first is to look them up
one after the other. An agent may think before its action; what it thinks is no part of the action.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Message = Mapping[str, str]

OPEN, CLOSE = "<think>", "</think>"


def thoughtful(messages: Sequence[Message]) -> list[Message]:
    """A transcript in which the agent thinks before it first uses what a tool has shown."""
    results: list[str] = []
    used: set[str] = set()
    found: list[Message] = []
    for message in messages:
        content = message["content"]
        if message["role"] == "assistant":
            fresh = [value for value in values(content) if value not in used]
            used.update(fresh)
            thought = "; ".join(quotes(results, fresh))
            found.append({**message, "content": f"{OPEN}{thought}{CLOSE}{content}"} if thought else message)
        else:
            if content.startswith("["):
                results.append(content)
            found.append(message)
    return found


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


def quotes(results: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The parts of results that lead to values, each once, from their beginnings to the last value in them."""
    ends: dict[tuple[int, int], int] = {}
    for value in wanted:
        whole = re.compile(rf"(?<![\w.@]){re.escape(value)}(?![\w@])")
        for place, result in enumerate(results):
            if match := whole.search(result):
                start = max(result.rfind("; ", 0, match.start()), result.find("] ")) + 2
                ends[place, start] = max(ends.get((place, start), 0), match.end())
                break
    return [results[place][start:end] for (place, start), end in ends.items()]
