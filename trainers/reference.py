"""A small model to begin with: a Llama of random weights, and a tokenizer made from an environment's own language.

It is an ordinary folder of Hugging Face's: `AutoModelForCausalLM` loads it, and so does everything here that takes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ..policies.rollout import Job
from ..policies.runs import Player, Setting
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
        r"; | ?[(\[]",
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


def model(tokenizer: Any, *, width: int = 128, layers: int = 3, context: int = 1024, seed: int = 0) -> LlamaForCausalLM:
    """A Llama for a tokenizer, with weights that have learnt nothing; `initialise` says how they are drawn."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // HEAD,
        num_key_value_heads=width // HEAD,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    setattr(config, MARK, True)
    made = LlamaForCausalLM(config)
    initialise(made, torch.Generator().manual_seed(seed))
    return made


def initialise(model: LlamaForCausalLM, generator: torch.Generator) -> None:
    """Draw weights of a size that suits a narrow model, whose layers at first leave the embeddings as they are.

    Transformers' own draw (0.02, made for wide models) leaves a narrow one on a plateau where it has learnt what kind
    of id comes next, but not to copy it. Here the perceptrons begin with nothing to say, and a rotation as the value
    and its inverse as the output, with one embedding for input and output, make each head a faint copy of what it
    attends to from the first step on.
    """
    width = model.config.hidden_size

    def draw(linear: Any) -> None:
        linear.weight.normal_(0, width**-0.5, generator=generator)

    with torch.no_grad():
        draw(model.model.embed_tokens)
        for layer in model.model.layers:
            for linear in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.mlp.gate_proj, layer.mlp.up_proj):
                draw(linear)
            layer.mlp.down_proj.weight.zero_()
            rotation = torch.nn.init.orthogonal_(torch.empty(width, width), generator=generator)
            layer.self_attn.v_proj.weight.copy_(rotation)
            layer.self_attn.o_proj.weight.copy_(rotation.T / 10)
