"""A conversation as its model sees it: ids that are appended as they were shown or sampled, and never made anew."""

from __future__ import annotations

from typing import NamedTuple

from ..base import Usage
from .prompt import Prompt
from .sampler import Row


class Tokens(NamedTuple):
    """A conversation's ids, and which of them the agent sampled: what a trainer needs, without tokenising again.

    They are what the model was shown at its last turn, and its answer: where a template rewrites the past, so do they.
    """

    ids: list[int]
    sampled: list[bool]
    """False for what was shown, and for what a grammar forced when the budget ran out."""
    logprobs: list[float]
    """Of a sampled id, the model's log-probability at the temperature, before top_k, top_p and the grammar; else 0."""


class Part(NamedTuple):
    """A run of ids and their text."""

    text: str
    tokens: Tokens
    turn: int
    """How many answers were given before it."""
    said: bool = False
    """Whether the agent said it."""


class Talk:
    """The conversation of a slot."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.forget()

    def forget(self) -> None:
        """Another conversation begins; what the row keeps may still be of use to it."""
        self.parts: list[Part] = []
        self.turn = 0
        self.usage = Usage(0, 0, 0)

    def show(self, text: str, prompt: Prompt) -> None:
        """Take in the transcript: what is new in it is tokenised, what a template has rewritten is so anew."""
        parts, at = [], 0
        for part in self.parts:
            if not text.startswith(part.text, at):
                break
            parts.append(part)
            at += len(part.text)
        new = prompt.ids(text[at:])
        self.parts = [*parts, Part(text[at:], Tokens(new, [False] * len(new), [0.0] * len(new)), self.turn)]
        self.row.ids = [number for part in self.parts for number in part.tokens.ids]
        self.usage.tokens_in = (self.usage.tokens_in or 0) + len(new)

    def say(self, prompt: Prompt) -> str:
        """Take in what was sampled, and give its words; a token that ends them is no part of them."""
        row = self.row
        cut = len(row.said) - (row.said[-1] in prompt.stops)
        words = [prompt.words(ids) if ids else "" for ids in (row.said[:cut], row.said[cut:])]
        for text, part in zip(words, (slice(None, cut), slice(cut, None)), strict=True):
            said = Tokens(row.said[part], row.sampled[part], row.logprobs[part])
            self.parts.append(Part(text, said, self.turn, said=True))
        self.turn += 1
        self.usage.calls += 1
        self.usage.tokens_out = (self.usage.tokens_out or 0) + len(row.said)
        return words[0]

    def follow(self, other: Talk, turn: int) -> list[int]:
        """Begin as another conversation did before what it was shown at a turn; these are its ids so far."""
        self.forget()
        self.parts = [part for part in other.parts if part.turn < turn]
        self.turn = turn
        return [number for part in self.parts for number in part.tokens.ids]

    def tokens(self) -> Tokens:
        """All of it."""
        whole = Tokens([], [], [])
        for part in self.parts:
            whole.ids.extend(part.tokens.ids)
            whole.sampled.extend(part.tokens.sampled)
            whole.logprobs.extend(part.tokens.logprobs)
        return whole
