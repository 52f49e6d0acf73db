"""`hf:PATH`: a causal language model on this machine, for many conversations at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...envs.conversation import Observation
from ...envs.errors import BadArgument
from ...envs.memory import Fact
from ...rewards.errors import InfrastructureError
from ..base import Kind, Policy, Usage
from .choose import Chance
from .grammar import Grammar
from .load import Loaded, context, load, unwrapped
from .prompt import Prompt
from .sampler import Row, Sampler
from .talk import Part, Talk, Tokens


class Local(Policy):
    """A causal language model from a folder, or one in memory (`Loaded(model, tokenizer)`).

    Each conversation keeps its ids and, with `cache`, their keys and values: a turn reads only what is new in the
    transcript. What conversations begin with in common is read once. An episode's actions depend on its seed and not on
    the others in the batch, as far as sums of floating-point numbers in another order allow.

    With `constrained`, an answer is an action of the space, whatever the weights, and nothing else (no reasoning
    before it); where the budget runs out, the shortest rest that closes the object takes the place of the model's
    choice. Without it, an answer that uses up `max_new_tokens` is what was said so far. A conversation that outgrows
    the model's context is not measured: its slot is answered with an `InfrastructureError`.
    """

    manner = "batch"

    def __init__(
        self,
        kind: Kind,
        path: str | os.PathLike[str] | Loaded,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        max_new_tokens: int = 256,
        constrained: bool = False,
        cache: bool = True,
        batch: int = 64,
        device: str = "auto",
        dtype: str = "auto",
        template: str | None = None,
        template_options: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        """`template` is a Jinja chat template in place of the tokenizer's own, or "plain" for `PLAIN`."""
        chance = Chance(temperature, top_k, top_p).checked()
        for name, number in (("max_new_tokens", max_new_tokens), ("batch", batch)):
            if number < 1:
                raise BadArgument(f"{name}={number!r} must be a whole number from 1 up.")
        model, tokenizer = path if isinstance(path, Loaded) else load(path, device, dtype)
        self.model = unwrapped(model)
        self.prompt = Prompt(tokenizer, template, template_options)
        self.parallel = batch
        self._name = type(self.model).__name__ if isinstance(path, Loaded) else f"hf:{path}"
        self._seed, self._most, self._context = seed, max_new_tokens, context(self.model)
        vocabulary = min(max(tokenizer.get_vocab().values()) + 1, self.model.get_output_embeddings().out_features)
        stops = self.prompt.stops
        grammar = Grammar(kind.parts.actions.schema, tokenizer, vocabulary, stops) if constrained else None
        self._least = len(grammar.shortest) if grammar else 1
        if max_new_tokens < self._least:
            raise BadArgument(
                f"max_new_tokens={max_new_tokens} is no room for an action of {kind.parts.name}: "
                f"the shortest takes {self._least}."
            )
        self.sampler = Sampler(self.model, vocabulary, stops, chance, grammar, cache, self._context)
        self._talks: dict[int, Talk] = {}
        self._asked: dict[int, Observation] = {}
        self._round: asyncio.Task[dict[int, Any]]

    def reset(self, seed: int | None = None) -> None:
        """A conversation begins in the first slot."""
        self.begin(0, seed)

    def begin(self, slot: int, seed: int | None = None) -> None:
        """A conversation begins in a slot; without a seed its draws go on from the last one's."""
        talk = self._talk(slot)
        talk.forget()
        self._asked.pop(slot, None)
        if seed is not None:
            talk.row.chance.seed(self._seed ^ seed)

    def fork(self, source: int, slot: int, turn: int, seed: int) -> None:
        """A conversation begins in a slot as the one of another slot did, up to what that was shown at a turn."""
        talk, other = self._talk(slot), self._talk(source)
        self._asked.pop(slot, None)
        self.sampler.follow(talk.row, other.row, talk.follow(other, turn))
        talk.row.chance.seed(self._seed ^ seed)

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """What the model says to one transcript."""
        answer = self._answers({0: observation})[0]
        if isinstance(answer, InfrastructureError):
            raise answer
        return answer

    def act_batch(
        self, observations: Sequence[Observation | None], facts: Sequence[Sequence[Fact] | None]
    ) -> list[Any]:
        """What the model says in each slot; an error stands where one could not be asked."""
        answers = self._answers({slot: seen for slot, seen in enumerate(observations) if seen is not None})
        return [answers.get(slot) for slot in range(len(observations))]

    async def act_async(self, observation: Observation, facts: Sequence[Fact], slot: int = 0) -> Any:
        """The same for one slot; those that ask while others are answered are answered together."""
        if not self._asked:
            self._round = asyncio.create_task(self._answer_all())
        turn, self._asked[slot] = self._round, observation
        answer = (await asyncio.shield(turn))[slot]
        if isinstance(answer, InfrastructureError):
            raise answer
        return answer

    async def _answer_all(self) -> dict[int, Any]:
        """Answer all who have asked by now."""
        asked, self._asked = self._asked, {}
        return self._answers(asked)

    def usage(self, slot: int = 0) -> Usage:
        """What a conversation has cost: every token of it is counted once, however often it was looked at."""
        return self._talk(slot).usage

    def tokens(self, slot: int = 0) -> Tokens:
        """The conversation of a slot as ids."""
        return self._talk(slot).tokens()

    def parts(self, slot: int = 0) -> Sequence[Part]:
        """The same, in the runs of ids in which it was shown and said."""
        return self._talk(slot).parts

    def forget(self) -> None:
        """Compute everything anew: the model has changed."""
        self.sampler.forget()

    def close(self) -> None:
        """Let go of the keys and values."""
        self.sampler.forget()

    def _talk(self, slot: int) -> Talk:
        if slot not in self._talks:
            self._talks[slot] = Talk(self.sampler.row())
            self._talks[slot].row.chance.seed(self._seed ^ slot)
        return self._talks[slot]

    def _answers(self, shown: Mapping[int, Observation]) -> dict[int, Any]:
        answers: dict[int, Any] = {}
        talks: dict[int, Talk] = {}
        for slot, observation in shown.items():
            messages, talk = observation["messages"], self._talk(slot)
            if not talk.parts:
                self.sampler.open(self.prompt.opening(messages))
            talk.show(self.prompt.text(messages), self.prompt)
            if self._context and len(talk.row.ids) + self._least > self._context:
                answers[slot] = self._outgrown(talk.row)
            else:
                talks[slot] = talk
        for wave in _waves([*talks], self.parallel):
            error = self._generated([talks[slot].row for slot in wave])
            for slot in wave:
                words = "" if error else talks[slot].say(self.prompt)
                row = talks[slot].row
                answers[slot] = error or (self._outgrown(row) if self._cut(row) else words)
        return answers

    def _generated(self, rows: Sequence[Row]) -> InfrastructureError | None:
        """Let the model answer, or say what failed that is not its fault."""
        try:
            self.sampler.generate(rows, self._most)
        except torch.OutOfMemoryError as error:
            what = f"{len(rows)} conversations do not fit into the memory of {self.model.device}: {error}"
            return InfrastructureError(what, self._name, "give a smaller batch or max_new_tokens", fatal=True)
        except InfrastructureError as error:
            return error
        return None

    def _cut(self, row: Row) -> bool:
        """Whether the context ended an answer that would have gone on."""
        if len(row.ids) != self._context or len(row.said) == self._most or row.said[-1] in self.prompt.stops:
            return False
        return not (row.matcher and row.matcher.over)

    def _outgrown(self, row: Row) -> InfrastructureError:
        return InfrastructureError(
            f"the conversation of {len(row.ids)} tokens has outgrown the model's context of {self._context}",
            self._name,
            "use a model with a longer context, prompt='brief', or a smaller max_turns",
        )


def _waves(slots: list[int], size: int) -> list[list[int]]:
    return [slots[start : start + size] for start in range(0, len(slots), size)]
