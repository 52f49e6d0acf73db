"""Answers that can only be actions: masks over the tokens, from the JSON Schema of the action space.

The engine is llguidance. xgrammar's masks are cheaper still, but 0.2.8 lets raw control characters into strings with a
maxLength, and declines the largest integer that a maximum allows: its answers are not always actions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...envs.errors import BadArgument
from .schema import longest, shortest

SPARE = 16
"""Tokens beyond the longest rest of an action: a string that is being left may be in the middle of an escape."""


class Grammar:
    """The grammar of an action space over a tokenizer's ids."""

    def __init__(self, schema: Mapping[str, Any], tokenizer: Any, vocabulary: int, stops: frozenset[int]) -> None:
        try:
            import llguidance
            from llguidance import hf
        except ModuleNotFoundError:
            raise BadArgument(
                'constrained=True needs the package llguidance: pip install "stateset-gym[llm]".'
            ) from None
        if not getattr(tokenizer, "is_fast", False):
            raise BadArgument(
                f"constrained=True cannot read the vocabulary of a {type(tokenizer).__name__}: "
                "save the tokenizer as tokenizer.json (a 'fast' one)."
            )
        ends = sorted(stops) or None
        self._tokens = hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=ends)
        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(schema), overrides={"whitespace_flexible": False}
        )
        self._first = llguidance.LLMatcher(self._tokens, grammar, log_level=0)
        if self._first.is_error():
            raise BadArgument(f"The action space cannot be made a grammar: {self._first.get_error()}")
        self._vocabulary, self.stops = vocabulary, stops
        self._sizes = np.array([len(self._tokens.decode_bytes([token])) for token in range(vocabulary)])
        self._sizes[[*stops]] = 0
        self._leaving = [self._tokens.tokenize_str(mark)[0] for mark in '"]}0']
        self.rest = longest(schema) + SPARE
        """The most tokens that the rest of an action takes if it is closed as soon as may be."""
        self.shortest = self._plan(schema)

    def matcher(self) -> Matcher:
        """For one more answer."""
        return Matcher(self, self._first.deep_copy())

    def allowed(self, matchers: Sequence[Matcher | None], like: Tensor) -> Tensor:
        """Which ids may come next, for each row."""
        bits = np.stack([self.mask(matcher.state) for matcher in matchers if matcher])
        return torch.from_numpy(bits).to(like.device)

    def mask(self, state: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which ids may come next."""
        packed = np.frombuffer(state.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(packed, count=self._vocabulary, bitorder="little").view(np.bool_)

    def closing(self, state: Any, most: int) -> list[int] | None:
        """At most so many ids that make the object whole from here, and soon; `None` where they do not suffice."""
        ids: list[int] = []
        state = state.deep_copy()
        while not state.is_stopped():
            if len(ids) == most:
                return None
            mask = self.mask(state)
            # A string, list or object is left where that is allowed; else the most of a fixed text is taken.
            mark = next((token for token in self._leaving if mask[token]), None)
            ids.append(int((mask * self._sizes).argmax()) if mark is None else mark)
            state.consume_token(ids[-1])
        return ids

    def _plan(self, schema: Mapping[str, Any]) -> list[int]:
        """The shortest action there is."""
        ids: list[int] = self._tokens.tokenize_str(shortest(schema))
        trial = self._first.deep_copy()
        if trial.consume_tokens(ids) and trial.is_accepting():
            return ids
        return self.closing(self._first, self.rest) or []


class Matcher:
    """Where an answer stands in the grammar, and how it can still be closed in time."""

    def __init__(self, grammar: Grammar, state: Any) -> None:
        self.state = state
        self._grammar = grammar
        self._plan: list[int] | None = grammar.shortest
        """Ids that make the object whole from here, where they are known."""

    @property
    def over(self) -> bool:
        """Whether the object is whole."""
        return bool(self.state.is_stopped())

    def take(self, token: int, left: int) -> int:
        """Take a token, or the next of the plan where what is left after the token would not do to close the object."""
        plan = self._after(token, left)
        if plan is None and left < self._grammar.rest and self._plan:
            token, plan = self._plan[0], self._plan[1:]
        self.state.consume_token(token)
        self._plan = plan
        return token

    def _after(self, token: int, left: int) -> list[int] | None:
        """The plan after a token, where one is needed, and there is one."""
        if self._plan and token == self._plan[0]:
            return self._plan[1:]
        if left >= self._grammar.rest or token in self._grammar.stops:
            return None
        trial = self.state.deep_copy()
        trial.consume_token(token)
        return self._grammar.closing(trial, left)
