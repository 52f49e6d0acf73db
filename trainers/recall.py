"""Weights that can look things up before they have learnt anything.

What a conversation asks of a small model is mostly to find a record by some words and to say what stands there. A wide
model learns that from its billions of texts; a narrow one, from a few thousand conversations, finds records by one word
and hardly ever by two. So it is born with it: the heads of the first layer look one, two, three and four tokens back;
those of the second compare the last tokens with those before every token so far, and say again the token where they are
most alike. All of it is ordinary weights of a Llama, which training may change. It takes two layers and a width of 128;
narrower models have too few heads for it, and begin with a part.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

BASE = 1e12
"""The base of the rotary embedding: few pairs of a head turn with the distance, and the others compare contents."""
FAST, SLOW = 0.02, 0.002
"""A pair turns by more than the one for each token, and tells places, or by less than the other, and tells contents."""

BACK = 4
"""So many tokens back heads look, at the most."""
SHARP = 12.0
"""How sure a head is of how far it looks back."""
ALIKE = ((16.0,), (11.0, 11.0), (0.0, 11.0, 0.0, 11.0), (8.0, 8.0, 8.0, 8.0))
"""For each head that compares: how much it counts if the last token is alike, the one before it, and so on.

The third leaves out every other token: what parts two words is alike in most records.
"""
SAID = 3.0
"""How loud what is found is said, against the token itself."""
QUIET = 0.1
"""What is left of the weights of chance in a head that is set up."""
ROUNDS, SHY, PUSH, CROWD = 30, 12.0, 0.4, math.exp(-6.0)
"""How the codes of tokens are moved apart: so often, near ones so much more than others, and so far at most."""
ROWS = 4096
"""Of so many tokens at once, which a large vocabulary needs memory for."""
AKIN = 2.0
"""How near tokens of one word are, which differ in case, in a space or in what parts two values."""


class Place(NamedTuple):
    """What the vector of a place is divided into: its token, a constant, and short codes of the tokens before it."""

    token: slice
    one: int
    before: list[slice]

    @classmethod
    def of(cls, width: int, heads: int) -> Place:
        """The parts of a vector so wide."""
        back, code = min(BACK, heads), min(width // 2 // BACK, width // heads)
        one = width - 1 - back * code
        return cls(slice(0, one), one, [slice(one + 1 + at * code, one + 1 + (at + 1) * code) for at in range(back)])


def remember(model: Any, kin: Tensor, generator: Generator) -> None:
    """Draw the weights of a Llama that has as many keys as queries, and set up its first two layers.

    `kin` tells of each token the first one that is of the same word.
    """
    config = model.config
    width = config.hidden_size
    place = Place.of(width, config.num_attention_heads)
    turns = [
        config.rope_parameters["rope_theta"] ** (-2 * pair / config.head_dim) for pair in range(config.head_dim // 2)
    ]
    with torch.no_grad():
        embedding = model.model.embed_tokens.weight
        embedding.zero_()
        short = rotation(place.before[0].stop - place.before[0].start, place.one, generator)
        embedding[:, place.token] = tokens(kin, short, generator)
        embedding[:, place.one] = 1
        for layer in model.model.layers:
            faint(layer, width, generator)
        layers = [layer.self_attn for layer in model.model.layers]
        look_back(layers[0], place, turns, short, (width / 2) ** 0.5)
        if len(layers) > 1:
            compare(layers[1], place, turns, short, (width / (2 + len(place.before))) ** 0.5, generator)


def rotation(rows: int, columns: int, generator: Generator) -> Tensor:
    """A matrix that keeps lengths, as far as its shape lets it."""
    return torch.nn.init.orthogonal_(torch.empty(rows, columns), generator=generator)


def tokens(kin: Tensor, short: Tensor, generator: Generator) -> Tensor:
    """Vectors of length 1 for tokens, whose short codes are of one length too; those of one word are akin."""
    code, words = short.shape
    codes = shared(apart(torch.randn(len(kin), code, generator=generator)), kin)
    rest = torch.randn(len(kin), words, generator=generator)
    rest = shared(normalize(rest - rest @ short.T @ short), kin)
    return math.sqrt(code / words) * codes @ short + math.sqrt(1 - code / words) * rest


def shared(vectors: Tensor, kin: Tensor) -> Tensor:
    """The vectors, drawn towards that of the first of their kin."""
    return normalize(vectors + AKIN * vectors[kin] * (kin != torch.arange(len(kin)))[:, None])


def apart(vectors: Tensor) -> Tensor:
    """Directions that push each other away, the nearest ones most: with chance alone some pairs are nearly the same."""
    vectors = normalize(vectors)
    for _ in range(ROUNDS):
        parts = zip(torch.split(vectors, ROWS), torch.split(torch.arange(len(vectors)), ROWS), strict=True)
        vectors = torch.cat([moved(part, places, vectors) for part, places in parts])
    return vectors


def moved(part: Tensor, places: Tensor, vectors: Tensor) -> Tensor:
    """Some of the vectors, a step away from those that are near."""
    near = part @ vectors.T
    near[torch.arange(len(part)), places] = 0  # itself
    push = torch.exp(SHY * (near - 1))
    return normalize(part - PUSH * (push @ vectors) / push.sum(1, keepdim=True).clamp(min=CROWD))


def faint(layer: Any, width: int, generator: Generator) -> None:
    """A layer that at first leaves everything nearly as it is, and in which each head faintly copies what it sees."""
    attention, perceptron = layer.self_attn, layer.mlp
    for linear in (attention.q_proj, attention.k_proj, perceptron.gate_proj, perceptron.up_proj):
        linear.weight.normal_(0, width**-0.5, generator=generator)
    perceptron.down_proj.weight.zero_()
    mixed = rotation(width, width, generator)
    attention.v_proj.weight.copy_(mixed)
    attention.o_proj.weight.copy_(mixed.T / 10)


def look_back(attention: Any, place: Place, turns: list[float], short: Tensor, long: float) -> None:
    """Let each head note the token at its distance; `long` is how long a token and the constant are after the norm."""
    head, code = 2 * len(turns), len(short)
    strength = (SHARP * head**0.5) ** 0.5 / long
    queries, keys = attention.q_proj.weight, attention.k_proj.weight
    attention.o_proj.weight.zero_()
    for at, noted in enumerate(place.before):
        rows = slice(at * head, (at + 1) * head)
        queries[rows] *= QUIET
        keys[rows] *= QUIET
        for pair, turn in enumerate(turns):
            if turn > FAST:
                queries[rows.start + pair, place.one] += strength
                keys[rows.start + pair, place.one] += strength * math.cos((at + 1) * turn)
                keys[rows.start + pair + head // 2, place.one] += strength * math.sin((at + 1) * turn)
        noting = attention.v_proj.weight[rows][:code]
        noting.zero_()
        noting[:, place.token] = short
        attention.o_proj.weight[noted, rows.start : rows.start + code] = torch.eye(code) * lengthened(short) / long


def compare(attention: Any, place: Place, turns: list[float], short: Tensor, long: float, generator: Generator) -> None:
    """Let each head look where the tokens before were like the last ones here, and say what it finds."""
    head, code, words = 2 * len(turns), len(short), place.one
    heads = len(attention.q_proj.weight) // head
    flat = [pair for pair, turn in enumerate(turns) if turn < SLOW]
    flat += [pair + head // 2 for pair in flat]
    parts = -(-words // head)
    mixed = rotation(words, words, generator)  # all heads say parts of one and the same
    attention.o_proj.weight.zero_()
    for number in range(heads):
        rows = slice(number * head, (number + 1) * head)
        queries, keys = attention.q_proj.weight[rows], attention.k_proj.weight[rows]
        queries *= QUIET
        keys *= QUIET
        alike = ALIKE[number if number < len(ALIKE) else 2 + number % 2]  # two words decide
        counts = [(at, count) for at, count in enumerate(alike[: len(place.before)]) if count]
        compared = max(len(flat), code * len(counts))
        views = torch.split(rotation(compared, compared, generator)[: len(flat)], code, dim=1)
        for (at, count), view in zip(counts, views, strict=False):
            weighed = view * (compared / len(flat) * count * head**0.5) ** 0.5 / long
            keys[flat, place.before[at]] += weighed
            if at:
                queries[flat, place.before[at - 1]] += weighed
            else:
                queries[flat, place.token] += weighed @ short * lengthened(short)
        part = mixed[number % parts * head :][:head]
        saying = attention.v_proj.weight[rows][: len(part)]
        saying.zero_()
        saying[:, place.token] = part
        attention.o_proj.weight[place.token, rows.start : rows.start + len(part)] = SAID * parts / heads / long * part.T


def lengthened(short: Tensor) -> float:
    """What gives a short code the length of the token that it is of."""
    code, words = short.shape
    return float((words / code) ** 0.5)
