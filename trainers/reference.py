"""A small model to begin with: a Llama of random weights, and a tokenizer made from an environment's own language.

It is an ordinary folder of Hugging Face's: `AutoModelForCausalLM` loads it, and so does everything here that takes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ..policies.rollout import Job
from ..policies.runs import Player, Setting
from . import recall
from .held_out import training_scenes
from .thoughts import CLOSE, OPEN

SPLIT = "|".join(
    [
        r'\{?"type":"[a-z_]+"(?:,"[a-z_]+":(?:\["|"|))?',  # the head of an action, up to its first value
        r"\[[a-z_]+\] ",  # the head of a tool's result
        r"[.,:)\]?!]+ (?:[a-z]+ )?",  # what parts two values or two words, with a label such as "color" behind it
        r'(?:["\[\]{},:]|(?<=")[a-z_0-9]+(?=":))+',  # what stands between two values of an action, keys and all
        r"[A-Z]?[0-9]+",  # an id or a number
        r"[A-Z]{2,}",
        r"@[a-z.]+[a-z]",
        r"[A-Za-z_']+(?: (?!\())?",  # a word takes the space behind it: a name is the same in sentences and in JSON
        r"; (?:[a-z]+ (?=[A-Za-z]+[,:]))?",  # what parts two records, with the label of the first word of the next
        r" ?[(\[]",
        r"\s+",
        r"[^A-Za-z0-9\s]",
    ]
)
"""The pieces that text is cut into; no token reaches beyond one. Ids, numbers and names are whole pieces."""

MARK = "stateset_gym_reference"
"""What the configuration of a model that was made here holds."""
PAD, END, ROLES = "<|pad|>", "<|end|>", ("<|system|>", "<|user|>", "<|assistant|>")
HEAD = 32
"""How wide a head is."""
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}"
    "{{ eos_token if message.role == 'assistant' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer(env_id: str, vocabulary: int = 2048, conversations: int = 2000, **arguments: Any) -> Any:
    """A byte-pair tokenizer of what the expert and its customers say, in as many conversations of the train split."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, *ROLES, OPEN, CLOSE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(spoken(env_id, conversations, arguments), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=PAD, eos_token=END, chat_template=TEMPLATE, clean_up_tokenization_spaces=False
    )


def spoken(env_id: str, conversations: int, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Every message of the expert's conversations, one scene after another."""
    player = Player(Setting(env_id, "expert", {**arguments, "split": "train"}))
    scenes = training_scenes(env_id, arguments, 0, conversations)
    for episode in player.play([Job(scene) for scene in scenes]):
        yield from (message["content"] for message in episode.messages)


def model(tokenizer: Any, *, width: int = 160, layers: int = 3, context: int = 1024, seed: int = 0) -> LlamaForCausalLM:
    """A Llama for a tokenizer that knows nothing yet, but can look things up: see `recall`."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // HEAD,
        num_key_value_heads=width // HEAD,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": recall.BASE},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    setattr(config, MARK, True)
    made = LlamaForCausalLM(config)
    recall.remember(made, kin(tokenizer), torch.Generator().manual_seed(seed))
    return made


def kin(tokenizer: Any) -> Tensor:
    """Of each token the first one that is of the same word: "white", "White " and ", white" are."""
    first: dict[str, int] = {}
    found = []
    for number in range(len(tokenizer)):
        word = re.sub(r"[\W_]", "", tokenizer.decode([number]).lower())
        found.append(first.setdefault(word, number) if word else number)
    return torch.tensor(found)
