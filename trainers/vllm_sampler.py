"""Tokens from vLLM, through TRL, where our own sampler's would be.

It was never run with vLLM itself: its tests put a small model in the place of vLLM's engine, behind TRL's own code.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby
from typing import Any

from ..envs.errors import BadArgument
from ..policies.local import Local
from ..policies.local.load import context
from ..policies.local.sampler import Row, Sampler
from .configs import GRPOConfig


def check(config: GRPOConfig) -> None:
    """Raise what can be known to go wrong with vLLM before anything is trained."""
    chosen = f"vllm={config.vllm!r}"
    if config.vllm == "off":
        return
    if config.constrained:
        raise BadArgument(
            f"{chosen} with constrained=True: the grammar of the actions rules over each token as it is drawn, and "
            "vLLM draws whole answers by itself. Give constrained=False, or vllm='off'."
        )
    if find_spec("vllm") is None:
        server = f", and start its server with 'trl vllm-serve --model {config.model}'"
        raise BadArgument(
            f"{chosen} needs the package vllm: pip install vllm{server if config.vllm == 'server' else ''}. "
            "Without it, vllm='off' samples with the model itself."
        )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if config.vllm == "server" and processes > 1:
        raise BadArgument(
            f"{chosen} with {processes} processes: TRL asks a server for the answers of all processes at once, and "
            "conversations do not end at the same time everywhere. Start one process, or give vllm='colocate'."
        )


class VLLMSampler(Sampler):
    """A sampler that lets vLLM go on with the ids of each conversation; its prefix caching keeps what it has read.

    Ids and log-probabilities are taken over as they are given. The latter are at the temperature of training, as TRL
    starts vLLM; a server says so with `--logprobs-mode processed_logprobs`, which `trl vllm-serve` sets. One that vLLM
    cannot tell is NaN, with which TRL corrects nothing.

    An answer ends where it would with our own sampler: at one of the template's stops and at no other token, after
    `most` tokens, or where the model's context is full.

    What is drawn is left to vLLM. TRL passes one seed for all prompts of a call, with which all conversations of a
    group would be the same one; so none is passed, the seeds of conversations do not matter here, and neither another
    run nor a resumed one draws the same tokens again.
    """

    def __init__(self, generation: Any, policy: Local) -> None:
        """`generation` is the `vllm_generation` of TRL's trainer, which also keeps vLLM's weights in step."""
        stops, width = policy.prompt.stops, policy.model.get_output_embeddings().out_features
        super().__init__(policy.model, width, stops, context=context(policy.model))
        self._generation = generation
        generation.generation_kwargs = {"stop_token_ids": sorted(stops), "ignore_eos": True}

    def open(self, ids: list[int]) -> None:
        """Nothing is read beforehand: vLLM finds by itself what conversations begin with in common."""

    def generate(self, rows: Sequence[Row], most: int) -> None:
        """Continue each conversation; those that have as much room are continued together."""

        def room(row: Row) -> int:
            return int(min(most, self.context - len(row.ids)))

        for limit, group in groupby(sorted(rows, key=room), room):
            self._continue([*group], limit)

    def _continue(self, rows: Sequence[Row], limit: int) -> None:
        self._generation.max_completion_length = limit
        _, said, scores, scored = self._generation.generate([[*row.ids] for row in rows], None, 1)
        for row, *answer in zip(rows, said, scores, scored, strict=True):
            row.said, row.logprobs, row.sampled = [], [], []
            for token, values, tokens in zip(*answer, strict=True):
                value = values[tokens.index(token)]
                row.add(token, math.nan if value is None else value, True)
