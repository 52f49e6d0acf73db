"""What keeping one key-value cache per conversation saves: a local model, 64 conversations, cached and not.

A Llama with random weights and a tokenizer trained on the environment's own transcripts hold the same conversations
twice: once with the cache kept across turns, once with the whole transcript read anew each turn. Both are greedy.
Then every sampled token is checked against a plain forward pass over its whole conversation.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from statistics import mean, median
from time import process_time
from typing import Any

import gymnasium
import torch
import transformers
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import stateset_gym
from stateset_gym import policies
from stateset_gym.policies.local import PLAIN, Loaded, Local
from stateset_gym.policies.registry import kind_of
from stateset_gym.policies.rollout import Episode, Job, rollout, rollouts

ID = "StateSet/CustomerService-v0"
TIE = 1e-4
"""Greedy choices may differ where the logits of two tokens are nearer than this."""


def transcripts(count: int) -> tuple[list[str], list[str]]:
    """What experts and customers say, and the experts' actions alone."""
    env = gymnasium.make(ID)
    expert = policies.make("expert", env)
    messages = [message for seed in range(count) for message in rollout(expert, env, seed=seed).messages]
    return [m["content"] for m in messages], [m["content"] for m in messages if m["role"] == "assistant"]


def tokenizer(texts: Sequence[str], size: int) -> Any:
    """A byte-level BPE tokenizer."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<pad>", "<end>", "<|system|>", "<|user|>", "<|assistant|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(texts, trainer)
    fast: Any = transformers.PreTrainedTokenizerFast
    whole = fast(tokenizer_object=bare, eos_token="<end>", pad_token="<pad>")
    whole.chat_template = PLAIN
    return whole


def model(words: Any, width: int, layers: int) -> Any:
    """A Llama with random weights, wide enough apart that a greedy choice is seldom a tie."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 64,
        max_position_embeddings=8192,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    made: Any = transformers.LlamaForCausalLM(config)
    return made.eval()


def played(policy: Local, conversations: int, turns: int) -> tuple[list[Episode], float]:
    """Hold the conversations, each in a slot of its own, and take the CPU time."""
    envs = [gymnasium.make(ID, max_turns=turns).unwrapped for _ in range(conversations)]
    jobs = [Job(f"CustomerService-v0/train/easy/{number:06d}", 0, number) for number in range(conversations)]
    start = process_time()
    episodes = list(rollouts(policy, envs, jobs))
    return sorted(episodes, key=lambda episode: episode.number), process_time() - start


@torch.inference_mode()
def furthest(policy: Local, conversations: int) -> float:
    """By how much the logit of a sampled token falls behind the likeliest one's in a plain pass, at the most."""
    worst = 0.0
    for slot in range(conversations):
        ids, sampled, _ = policy.tokens(slot)
        logits = policy.model(input_ids=torch.tensor([ids], device=policy.model.device)).logits[0].float()
        at = torch.tensor([place for place, own in enumerate(sampled) if own])
        own = logits[at - 1].gather(-1, torch.tensor(ids)[at, None].to(logits.device))[:, 0]
        worst = max(worst, float((logits[at - 1].max(-1).values - own).max()))
    return worst


def measure(conversations: int, turns: int, passes: int, width: int, layers: int, most: int) -> dict[str, Any]:
    """All figures."""
    texts, actions = transcripts(60)
    words = tokenizer(texts, 2048)
    pair = Loaded(model(words, width, layers), words)
    kind = kind_of(ID)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    said: dict[bool, list[list[Any]]] = {}
    for _ in range(passes):
        for cache in (True, False):
            policy = Local(kind, pair, cache=cache, max_new_tokens=most, batch=conversations)
            episodes, took = played(policy, conversations, turns)
            seconds[cache].append(took)
            said[cache] = [episode.actions for episode in episodes]
            if cache:
                behind = furthest(policy, conversations)
                usage = [policy.usage(slot) for slot in range(conversations)]
    ratios = [anew / kept for kept, anew in zip(seconds[True], seconds[False], strict=True)]
    return {
        "conversations": conversations,
        "turns": turns,
        "parameters": sum(weight.numel() for weight in pair.model.parameters()),
        "tokens of the opening": len(words.encode(texts[0])),
        "tokens of a conversation, shown": mean(each.tokens_in or 0 for each in usage),
        "tokens of a conversation, sampled": mean(each.tokens_out or 0 for each in usage),
        "tokens of an expert's action": mean(len(words.encode(action)) for action in actions),
        "cache kept: CPU seconds": median(seconds[True]),
        "read anew each turn: CPU seconds": median(seconds[False]),
        "times as fast": median(ratios),
        "conversations with the same actions": sum(one == other for one, other in zip(*said.values(), strict=True)),
        "furthest behind the likeliest logit": behind,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer turns, one pass")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--conversations", type=int, default=64)
    parser.add_argument("--turns", type=int)
    parser.add_argument("--passes", type=int)
    parser.add_argument("--width", type=int, default=128, help="the model's hidden size, a multiple of 64")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--max-new-tokens", type=int, default=32)
    given = parser.parse_args()
    turns, passes = (3, 1) if given.quick else (6, 3)
    torch.set_num_threads(1)
    figures = measure(
        given.conversations,
        given.turns or turns,
        given.passes or passes,
        given.width,
        given.layers,
        given.max_new_tokens,
    )
    versions = {"python": platform.python_version(), "machine": platform.machine()}
    versions |= {"torch": torch.__version__, "transformers": transformers.__version__}
    versions |= {"stateset_gym": stateset_gym.__version__}
    met = {"times as fast": figures["times as fast"] >= 2, "furthest behind the likeliest logit": True}
    met["furthest behind the likeliest logit"] = figures["furthest behind the likeliest logit"] < TIE
    if given.json:
        print(json.dumps({"figures": figures, "met": met, "versions": versions}, indent=2))
        return
    table = Table(title=f"{ID}, a Llama with random weights, one thread, medians", title_justify="left")
    for name in ("measured", "figure", "target", "reached"):
        table.add_column(name, justify="right" if name == "figure" else "left")
    targets = {"times as fast": "2 or more", "furthest behind the likeliest logit": f"under {TIE}"}
    for name, figure in figures.items():
        shown = f"{figure:,}" if isinstance(figure, int) else f"{figure:,.3g}" if figure < 100 else f"{figure:,.0f}"
        table.add_row(name, shown, targets.get(name, ""), {None: "", True: "yes", False: "no"}[met.get(name)])
    console = Console(width=100)
    console.print(table)
    console.print(", ".join(f"{name} {version}" for name, version in versions.items()))


if __name__ == "__main__":
    main()
