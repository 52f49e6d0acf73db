"""What the trainers of language models are told."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from ..envs.errors import BadArgument
from .base import Config

REFERENCE = "reference"
"""The name of a model that is made anew."""
RATES = {"muon": 2e-2, "adamw": 2e-3}
"""The learning rates at which a new model is taught."""
GENTLE = 0.05
"""A model that has learnt before is taught at this share of them."""


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(Config):
    """What every trainer of a language model is told."""

    model: Annotated[str, Meta(description="A folder with a causal model and its tokenizer.")] = ""
    batch: Annotated[int, Meta(ge=1, description="Conversations of an update, all processes together.")] = 64
    micro: Annotated[int, Meta(ge=0, description="Conversations in memory at once in a process; 0: all.")] = 0
    optimizer: Annotated[
        Literal["auto", "adamw", "muon"],
        Meta(description="'auto': Muon, which small models learn faster with, for 'reference', AdamW for a folder."),
    ] = "auto"
    learning_rate: Annotated[float, Meta(gt=0, description="The highest learning rate.")] = 1e-3
    schedule: Annotated[
        Literal["cosine", "linear", "constant"], Meta(description="How the learning rate falls after the warm-up.")
    ] = "cosine"
    warmup: Annotated[float, Meta(ge=0, le=1, description="The share of the steps in which it rises.")] = 0.05
    weight_decay: Annotated[float, Meta(ge=0, description="The weight decay, AdamW's and Muon's.")] = 0.01
    clip: Annotated[float, Meta(gt=0, description="The greatest norm of a gradient.")] = 1.0
    dtype: Annotated[
        Literal["float32", "bfloat16"], Meta(description="What is computed in; the weights are float32.")
    ] = "float32"
    lora: Annotated[int, Meta(ge=0, description="The rank of LoRA's matrices; 0: all weights are trained.")] = 0
    temperature: Annotated[float, Meta(gt=0, description="The temperature of sampling.")] = 1.0
    max_new_tokens: Annotated[int, Meta(ge=1, description="The most tokens of an answer.")] = 96
    constrained: Annotated[
        bool, Meta(description="Sample only actions of the space, in training and in measuring.")
    ] = False
    tested: Annotated[int, Meta(ge=0, description="Scenes of the test split to measure on before and after.")] = 1000
    report_to: Annotated[
        tuple[str, ...], Meta(description="Where metrics go beside the folder: tensorboard, wandb, trackio.")
    ] = ()

    def __post_init__(self) -> None:
        """Choose what is left open: a run's folder tells what was chosen."""
        if self.optimizer == "auto":
            object.__setattr__(self, "optimizer", "muon" if self.model == REFERENCE else "adamw")


MADE = ("width", "layers", "vocabulary")
"""What is told of a reference model alone."""


@dataclass(frozen=True, kw_only=True)
class SFTConfig(LanguageConfig):
    """What supervised learning is told."""

    model: Annotated[
        str, Meta(description="A folder with a causal model and its tokenizer, or 'reference': a small new one.")
    ] = REFERENCE
    batch: Annotated[int, Meta(ge=1, description="Conversations of an update, all processes together.")] = 16
    learning_rate: Annotated[
        float,
        Meta(
            ge=0,
            description="The highest learning rate; 0: 2e-2 with Muon and 2e-3 with AdamW for 'reference', "
            "1e-3 and 1e-4 for a folder.",
        ),
    ] = 0.0
    steps: Annotated[int, Meta(ge=1, description="How many updates are made.")] = 600
    mistakes: Annotated[
        float, Meta(ge=0, le=1, description="The share of demonstrations in which the expert may make mistakes.")
    ] = 0.25
    thinking: Annotated[
        bool, Meta(description="The expert quotes, before an action, the records and sayings that it takes from.")
    ] = True
    width: Annotated[
        int, Meta(ge=32, multiple_of=32, description="How wide a reference model is; a head for each 32.")
    ] = 160
    layers: Annotated[int, Meta(ge=1, description="How many layers a reference model has.")] = 3
    vocabulary: Annotated[int, Meta(ge=512, description="The most tokens that a reference tokenizer knows.")] = 2048

    def __post_init__(self) -> None:
        """Choose what is left open, and refuse what would be left out."""
        super().__post_init__()
        if not self.learning_rate:
            share = 1 if self.model == REFERENCE else GENTLE
            object.__setattr__(self, "learning_rate", RATES[self.optimizer] * share)
        for each in fields(self) if self.model != REFERENCE else ():
            value = getattr(self, each.name)
            if each.name in MADE and value != each.default:
                raise BadArgument(
                    f"{each.name}={value!r} is of a model that is made anew, and model={self.model!r} is a folder: "
                    f"leave {each.name} out, or name model={REFERENCE!r}."
                )


@dataclass(frozen=True, kw_only=True)
class GRPOConfig(LanguageConfig):
    """What GRPO and its relatives are told."""

    batch: Annotated[int, Meta(ge=2, description="Conversations of an update, all processes together.")] = 128
    learning_rate: Annotated[float, Meta(gt=0, description="The highest learning rate.")] = 2e-4
    group: Annotated[int, Meta(ge=2, description="Conversations that start from one snapshot and are compared.")] = 8
    iterations: Annotated[int, Meta(ge=1, description="Updates made with the same conversations.")] = 1
    beta: Annotated[float, Meta(ge=0, description="The weight of the divergence from the model at the start.")] = 0.0
    clip_ratio: Annotated[
        tuple[Annotated[float, Meta(gt=0)], Annotated[float, Meta(gt=0)]],
        Meta(description="How far a ratio of probabilities counts below 1, and above it."),
    ] = (0.2, 0.2)
    vllm: Annotated[
        Literal["off", "server", "colocate"], Meta(description="Sample with vLLM: a server of TRL's, or this process.")
    ] = "off"


@dataclass(frozen=True, kw_only=True)
class DPOConfig(LanguageConfig):
    """What preference learning is told."""

    batch: Annotated[int, Meta(ge=1, description="Pairs of an update, all processes together.")] = 32
    micro: Annotated[int, Meta(ge=0, description="Pairs in memory at once in a process; 0: all.")] = 0
    learning_rate: Annotated[float, Meta(gt=0, description="The highest learning rate.")] = 2e-4
    points: Annotated[int, Meta(ge=1, description="Turns at which answers are compared, each time anew.")] = 512
    branches: Annotated[int, Meta(ge=2, description="Answers to such a turn, each followed up to the end.")] = 8
    margin: Annotated[
        float, Meta(ge=0, description="By more than this the returns of the best and the worst answer differ.")
    ] = 0.1
    refresh_every: Annotated[
        int, Meta(ge=0, description="Steps after which pairs are made anew by the model as it then is; 0: never.")
    ] = 0
    beta: Annotated[
        float, Meta(gt=0, description="How dearly a departure from the model that made the pairs is bought.")
    ] = 0.1


class Dealt(NamedTuple):
    """How the conversations of a step are dealt out."""

    micro: int
    """So many in one pass of each process,"""
    passes: int
    """and so many passes."""
