"""Multi-turn GRPO on conversations: the whole of it in one file, with torch alone.

    python examples/grpo_single_file.py                     # a model of its own: taught by the expert, then by reward
    python examples/grpo_single_file.py --start FOLDER      # what `stateset-gym train sft` left, or an earlier --save
    python examples/grpo_single_file.py --help              # every argument

It reads from top to bottom: arguments, model, text and the expert, sampling, learning, measuring, all of it together.
By default it does what `stateset-gym train grpo` does; `benchmarks/single_file_agrees.py` compares what comes of both.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
import torch.nn.functional as F
from msgspec import structs
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym import policies
from stateset_gym.trainers import Share


@dataclass
class Args:
    env: str = "StateSet/CustomerService-v0"
    """the id of the environment"""
    difficulty: str = "easy"
    """of its scenes: easy, normal or hard"""
    kinds: str = ""
    """the kinds of scene, with commas between; all where none is named"""
    seed: int = 0
    """of the weights, the scenes and the sampling"""
    start: str = ""
    """a folder with config.json, model.safetensors and tokenizer.json; without one a model is made and taught"""
    save: str = ""
    """the folder that the trained model goes to, in the same form"""
    json: str = ""
    """the file that the results go to"""

    # Without --start: the model, and how it is taught
    width: int = 128
    """of the hidden states"""
    layers: int = 3
    """how many there are"""
    heads: int = 4
    """of attention in each"""
    sft_steps: int = 700
    """batches of the expert's conversations that the model is shown"""
    sft_batch: int = 16
    """conversations in each"""
    sft_lr: float = 3e-3
    """the learning rate; it rises and falls as below"""

    # Learning from rewards
    updates: int = 60
    """how often conversations are held and learned from"""
    scenes: int = 16
    """that are drawn for an update"""
    group: int = 8
    """conversations on each of them, from one snapshot"""
    lr: float = 2e-4
    """the highest learning rate"""
    warmup: float = 0.05
    """the share of the updates in which it rises from zero; then it falls to it, as a cosine does"""
    epochs: int = 1
    """steps of the optimiser on the same conversations; from the second on the ratios are not 1"""
    clip: float = 0.2
    """how far a ratio may leave 1 and still count"""
    norm: str = "grpo"
    """a token's share of the loss: one of its conversation's tokens (grpo), of all (dapo), a constant one (dr_grpo)"""
    scale: bool = True
    """whether advantages are divided by the standard deviation in the group"""
    max_norm: float = 1.0
    """of the gradient"""
    micro: int = 8
    """conversations that are learned from at once; few are faster on a CPU, whose caches they fit into"""
    max_tokens: int = 96
    """of one answer"""
    context: int = 1024
    """of one conversation; where it would grow longer, it ends"""
    held_out: int = 500
    """scenes of the test split that are played before and after"""


# --- The model --------------------------------------------------------------------------------------------------------


class Layer(nn.Module):
    """Attention and a gated MLP; weights have the names that Hugging Face gives them."""

    def __init__(self, width: int, inner: int, heads: int, size: int, eps: float) -> None:
        super().__init__()
        self.size, wide = size, heads * size
        seen = {"q_proj": (width, wide), "k_proj": (width, wide), "v_proj": (width, wide), "o_proj": (wide, width)}
        known = {"gate_proj": (width, inner), "up_proj": (width, inner), "down_proj": (inner, width)}
        self.self_attn = nn.ModuleDict({name: nn.Linear(*shape, bias=False) for name, shape in seen.items()})
        self.mlp = nn.ModuleDict({name: nn.Linear(*shape, bias=False) for name, shape in known.items()})
        self.input_layernorm, self.post_attention_layernorm = nn.RMSNorm(width, eps), nn.RMSNorm(width, eps)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], keep: Any, mask: Tensor | None) -> Tensor:
        h = self.input_layernorm(x)
        q, k, v = (self.self_attn[name](h).unflatten(-1, (-1, self.size)) for name in ("q_proj", "k_proj", "v_proj"))
        q, k = rotated(q, *turn).transpose(1, 2), rotated(k, *turn)
        k, v = keep(k, v) if keep else (k.transpose(1, 2), v.transpose(1, 2))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        x = x + self.self_attn["o_proj"](seen.transpose(1, 2).flatten(2))
        h = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](h)) * self.mlp["up_proj"](h))


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: a number and the one half a head further on are turned as the coordinates of a point."""
    one, two = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-two, one), dim=-1) * sin


class Llama(nn.Module):
    """A Llama with as many heads of keys as of queries, no biases, and the same weights at both ends."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config, c = config, {**config, **(config.get("rope_parameters") or {})}
        width, layers, heads = c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"]
        size = c.get("head_dim") or width // heads
        needed = {"model_type": "llama", "tie_word_embeddings": True, "num_key_value_heads": heads}
        needed |= {"rope_type": "default", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
        if wrong := {name: c[name] for name, value in needed.items() if c.get(name, value) != value}:
            raise ValueError(
                f"config.json says {wrong}: this script is for { ({name: needed[name] for name in wrong}) }."
            )
        self.shape = layers, heads, size
        self.embed_tokens, self.norm = nn.Embedding(c["vocab_size"], width), nn.RMSNorm(width, c["rms_norm_eps"])
        layer = width, c["intermediate_size"], heads, size, c["rms_norm_eps"]
        self.layers = nn.ModuleList(Layer(*layer) for _ in range(layers))
        speeds = c["rope_theta"] ** (-torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(c["max_position_embeddings"]), speeds)
        self.register_buffer("angles", torch.cat((angles, angles), dim=-1)[:, None], persistent=False)

    def forward(self, ids: Tensor, positions: Any = None, keepers: Any = None, mask: Tensor | None = None) -> Tensor:
        """The last hidden states; without keepers, of whole conversations."""
        angles = self.angles[: ids.shape[1]] if positions is None else self.angles[positions]
        x, turn = self.embed_tokens(ids), (angles.cos(), angles.sin())
        for layer, keep in zip(self.layers, keepers or [None] * len(self.layers), strict=True):
            x = layer(x, turn, keep, mask)
        return self.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        return F.linear(states, self.embed_tokens.weight)


def begun(args: Args, vocabulary: int) -> Llama:
    """A model that has yet to learn all, looking things up included; at first its layers leave nearly all as it is."""
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary}
    config |= {"hidden_size": args.width, "intermediate_size": 3 * args.width, "num_hidden_layers": args.layers}
    config |= {"num_attention_heads": args.heads, "num_key_value_heads": args.heads, "tie_word_embeddings": True}
    config |= {"max_position_embeddings": max(1024, args.context), "rms_norm_eps": 1e-6}
    config |= {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    config |= {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    model = Llama({**config, "stateset_gym_reference": True})  # so marked, trainers too show it no system message
    for weight in model.parameters():
        if weight.dim() == 2:
            nn.init.normal_(weight, std=args.width**-0.5)
    for layer in model.layers:  # what a head moves arrives as what it was: copying, most of it all, is soon learned
        layer.self_attn["o_proj"].weight.data.copy_(nn.init.orthogonal_(layer.self_attn["v_proj"].weight).T / 10)
        nn.init.zeros_(layer.mlp["down_proj"].weight)
    return model


def loaded(folder: Path) -> Llama:
    """The model in a folder."""
    model = Llama(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    weights = load_file(folder / "model.safetensors").items()
    model.load_state_dict({name.removeprefix("model."): w.float() for name, w in weights if name != "lm_head.weight"})
    return model


def saved(model: Llama, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a folder that this script, `AutoModelForCausalLM` and the policy `hf:FOLDER` load."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"model.{name}": weight.detach() for name, weight in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    words = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": PAD}
    words |= {"chat_template": TEMPLATE, "clean_up_tokenization_spaces": False}
    for name, content in (("config.json", model.config), ("tokenizer_config.json", words)):
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")


# --- Text and ids, and the expert -------------------------------------------------------------------------------------

PAD, END, ROLES = "<|pad|>", "<|end|>", ("<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (  # for those who load what was saved: it says what `shown` does
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}"
    "{{ eos_token if message.role == 'assistant' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PIECES = (  # no token reaches beyond one of these; ids, numbers and names stay whole, for split ones are hard to copy
    r'\{?"type":"[a-z_]+"(?:,"[a-z_]+":(?:\["|"|))?|\[[a-z_]+\] '  # the head of an action; of a tool's result
    r'|[.,:)\]?!]+ (?:[a-z]+ )?|(?:["\[\]{},:]|(?<=")[a-z_0-9]+(?=":))+'  # what parts two values in it; in an action
    r"|[A-Z]?[0-9]+|[A-Z]{2,}|@[a-z.]+[a-z]|[A-Za-z_']+(?: (?!\())?"
    r"|; (?:[a-z]+ (?=[A-Za-z]+[,:]))?| ?[(\[]|\s+|[^A-Za-z0-9\s]"
)


def shown(messages: Sequence[Mapping[str, str]]) -> str:
    """Messages as the text that the agent is to go on from."""
    return "".join(f"<|{message['role']}|>{message['content']}" for message in messages) + "<|assistant|>"


def made(args: Args, split: str = "train") -> Any:
    """An environment; without its wrappers, which a snapshot would pass by."""
    kinds = args.kinds.split(",") if args.kinds else None
    return gym.make(args.env, split=split, difficulty=args.difficulty, kinds=kinds, prompt="none").unwrapped


def transcripts(args: Args) -> Iterator[list[dict[str, str]]]:
    """The expert's conversations on train scenes, without end."""
    env = made(args)
    expert = policies.make("expert", env)
    observation, info = env.reset(seed=args.seed)
    while True:
        expert.reset()
        over = False
        while not over:
            observation, _, terminated, truncated, info = env.step(expert.act(observation, info["facts"]))
            over = terminated or truncated
        yield observation["messages"]
        observation, info = env.reset()


def spelled(args: Args) -> Tokenizer:
    """A byte-pair tokenizer of what the expert and its customers say."""
    tokenizer, talks = Tokenizer(models.BPE()), transcripts(args)
    pieces = pre_tokenizers.Split(Regex(PIECES), "isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Sequence([pieces, letters]), decoders.ByteLevel()
    special, alphabet = [PAD, END, *ROLES], letters.alphabet()
    trainer = BpeTrainer(vocab_size=2048, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator((m["content"] for _ in range(2000) for m in next(talks)), trainer)
    return tokenizer


class Talk:
    """A conversation as ids: those that were shown and those that were said, as they came, and never made anew."""

    def __init__(self, env: Any = None, place: int = 0) -> None:
        self.env, self.place = env, place
        self.ids: list[int] = []
        self.said: list[bool] = []
        self.logprobs: list[float] = []  # of what the agent said, when it was sampled
        self.read = self.turn = 0  # how many ids the cache holds; how many stood before the agent's turn
        self.total, self.over, self.success = 0.0, False, False

    def add(self, ids: list[int], said: bool) -> None:
        self.ids += ids
        self.said += [said] * len(ids)

    def hear(self, tokenizer: Tokenizer, text: str, context: int) -> None:
        """Take in what the customer said, if there is room for it and for an answer."""
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        self.over = len(self.ids) + len(ids) >= context
        if not self.over:
            self.add(ids, said=False)
        self.turn = len(self.ids)

    def act(self, tokenizer: Tokenizer, args: Args) -> None:
        """Play what was sampled since; an answer that the context has cut short is none."""
        ended, size = self.ids[-1] == tokenizer.token_to_id(END), len(self.ids) - self.turn
        self.over = len(self.ids) == args.context and size < args.max_tokens and not ended
        if self.over:
            return
        words = tokenizer.decode(self.ids[self.turn : len(self.ids) - ended], skip_special_tokens=False)
        observation, reward, terminated, truncated, info = self.env.step(words)
        self.total += reward
        self.success, self.over = info["is_success"], terminated or truncated
        if not self.over:
            self.hear(tokenizer, ("" if ended else END) + shown(observation["messages"][-1:]), args.context)


def demonstration(tokenizer: Tokenizer, messages: Sequence[Mapping[str, str]]) -> Talk:
    """The expert's conversation, as an agent would have had it."""
    talk, before = Talk(), 0
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            for text, said in ((shown(messages[before:place]), False), (message["content"] + END, True)):
                talk.add(tokenizer.encode(text, add_special_tokens=False).ids, said)
            before = place + 1
    return talk


# --- Sampling ---------------------------------------------------------------------------------------------------------


class Cache:
    """Keys and values of conversations, each at its place; those that go on stand in front, so that none is copied."""

    def __init__(self, model: Llama, places: int, context: int) -> None:
        layers, heads, size = model.shape
        self.held = torch.zeros(layers, 2, places, heads, context, size)
        self.talks: list[Talk] = []

    def front(self, talks: Sequence[Talk]) -> list[Talk]:
        """Let these change places with others so that they fill the first ones; back they come in that order."""
        taken = {talk.place for talk in talks}
        free = [place for place in range(len(talks)) if place not in taken]
        behind = [talk.place for talk in talks if talk.place >= len(talks)]
        if behind:
            length = max(self.talks[place].read for place in free + behind)
            self.held[:, :, free + behind, :, :length] = self.held[:, :, behind + free, :, :length]
        for one, other in zip(free, behind, strict=True):
            self.talks[one], self.talks[other] = self.talks[other], self.talks[one]
            self.talks[one].place, self.talks[other].place = one, other
        return self.talks[: len(talks)]

    def states(self, model: Llama, talks: Sequence[Talk]) -> Tensor:
        """Let the model read what is new in the conversations in front; back comes its state at the end of each."""
        new = [talk.ids[talk.read :] for talk in talks]
        ends, rows = torch.tensor([len(ids) - 1 for ids in new]), torch.arange(len(new))
        width = int(ends.max()) + 1
        ids = torch.tensor([row + [0] * (width - len(row)) for row in new])
        # Padding stands behind a conversation's end, where nothing sees it before it is written over.
        positions = torch.tensor([talk.read for talk in talks])[:, None] + torch.arange(width)
        positions.clamp_(max=self.held.shape[4] - 1)
        length = int(positions.max()) + 1
        mask = (torch.arange(length) <= positions[..., None])[:, None]

        def keeper(layer: Tensor) -> Callable[[Tensor, Tensor], Sequence[Tensor]]:
            def keep(keys: Tensor, values: Tensor) -> Sequence[Tensor]:
                layer[0, rows[:, None], :, positions], layer[1, rows[:, None], :, positions] = keys, values
                return layer[:, : len(new), :, :length].unbind()

            return keep

        states = model(ids, positions, [keeper(layer) for layer in self.held], mask)
        for talk in talks:
            talk.read = len(talk.ids)
        return states[rows, ends]


def opened(source: Any, envs: Sequence[Any], tokenizer: Tokenizer, args: Args) -> list[Talk]:
    """The beginnings of an update's conversations: each group's are one snapshot of the next scene."""
    talks = [Talk(env, place) for place, env in enumerate(envs)]
    for group in chunks(talks, args.group):
        source.reset()
        snapshot = source.snapshot()
        for talk in group:
            seen, _ = talk.env.restore(snapshot)
            talk.hear(tokenizer, shown(seen["messages"]), args.context)
    return talks


@torch.inference_mode()
def converse(model: Llama, cache: Cache, tokenizer: Tokenizer, talks: list[Talk], args: Args, chance: Any) -> None:
    """Hold conversations to their end: all of them answer, and then all are answered."""
    cache.talks, going, end = [*talks], talks, tokenizer.token_to_id(END)
    while going:
        speaking = cache.front(going)
        while speaking:
            scores = model.logits(cache.states(model, speaking)).log_softmax(-1)
            # The first id at which the sum of probabilities passes a draw, in a tenth of the time of `multinomial`.
            sums = scores.exp().cumsum(-1)
            draws = torch.rand(len(speaking), 1, generator=chance) * sums[:, -1:]
            ids = torch.searchsorted(sums, draws, right=True).clamp_(max=sums.shape[1] - 1)
            for talk, drawn, score in zip(speaking, ids.tolist(), scores.gather(1, ids)[:, 0].tolist(), strict=True):
                talk.add(drawn, said=True)
                talk.logprobs.append(score)
            most = [min(talk.turn + args.max_tokens, args.context) for talk in speaking]
            alive = [t for t, most in zip(speaking, most, strict=True) if t.ids[-1] != end and len(t.ids) < most]
            speaking = cache.front(alive)
        for talk in going:
            talk.act(tokenizer, args)
        going = [talk for talk in going if not talk.over]


# --- Learning ---------------------------------------------------------------------------------------------------------


def padded(talks: Sequence[Talk]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, those that follow them, and whether the agent said these; padding stands behind, where nothing sees it."""
    width = max(len(talk.ids) for talk in talks)
    ids = torch.tensor([talk.ids + [0] * (width - len(talk.ids)) for talk in talks])
    said = torch.tensor([talk.said + [False] * (width - len(talk.ids)) for talk in talks])
    return ids[:, :-1], ids[:, 1:], said[:, 1:]


def logprobs(model: Llama, inputs: Tensor, targets: Tensor, said: Tensor) -> Tensor:
    """The log-probabilities of what the agent said, and of nothing else, one conversation behind the other."""
    return -F.cross_entropy(model.logits(model(inputs)[said]), targets[said], reduction="none")


def advantages(returns: Tensor, group: int, scale: bool) -> Tensor:
    """How much better a conversation went than its group."""
    groups = returns.view(-1, group)
    better = groups - groups.mean(1, keepdim=True)
    return (better / (groups.std(1, keepdim=True) + 1e-4) if scale else better).flatten()


def shares(counts: Tensor, norm: str, constant: int) -> Tensor:
    """What a token counts in the loss, for each conversation; `counts` says how many were sampled in it."""
    sizes = {"dapo": counts.sum(), "grpo": len(counts) * counts, "dr_grpo": torch.tensor(len(counts) * constant)}
    if norm not in sizes:
        raise ValueError(f"norm={norm!r} is unknown: choose {', '.join(sizes)}.")
    return (1 / sizes[norm].clamp(min=1)).expand(len(counts))


def losses(new: Tensor, old: Tensor, gains: Tensor, clip: float) -> Tensor:
    """The clipped objective of each token, negated."""
    ratios = (new - old).exp()
    return -torch.minimum(ratios * gains, ratios.clamp(1 - clip, 1 + clip) * gains)


def reinforce(model: Llama, optimizer: torch.optim.Optimizer, talks: Sequence[Talk], args: Args) -> dict[str, float]:
    """Learn from an update's conversations."""
    counts = torch.tensor([len(talk.logprobs) for talk in talks])
    gains = advantages(torch.tensor([talk.total for talk in talks]), args.group, args.scale)
    share = shares(counts, args.norm, args.max_tokens)
    # Where all of a group were paid alike the gradient is zero. The others go by length, so that little is padded.
    telling = sorted((gains * counts).nonzero()[:, 0].tolist(), key=lambda place: len(talks[place].ids))
    size, off = torch.tensor(0.0), 0.0
    for epoch in range(args.epochs):
        optimizer.zero_grad()
        for part in chunks(telling, args.micro):
            new = logprobs(model, *padded([talks[place] for place in part]))
            old = torch.tensor([score for place in part for score in talks[place].logprobs])
            gain, weight = (each[part].repeat_interleave(counts[part]) for each in (gains, share))
            (losses(new, old, gain, args.clip) * weight).sum().backward()
            off = max(off, (new - old).abs().max().item()) if epoch == 0 else off
        size = nn.utils.clip_grad_norm_(model.parameters(), args.max_norm)
        optimizer.step()
    return {"telling": len(telling) / len(talks), "gradient": float(size), "off": off}


def teach(model: Llama, tokenizer: Tokenizer, args: Args) -> None:
    """Show the model what the expert says; only that is learned."""
    talks, began, step = transcripts(args), time.perf_counter(), 0
    optimizer = adamw(model)
    while step < args.sft_steps:
        many = [demonstration(tokenizer, next(talks)) for _ in range(16 * args.sft_batch)]
        batches = chunks(sorted(many, key=lambda talk: len(talk.ids)), args.sft_batch)
        for place in torch.randperm(len(batches)).tolist()[: args.sft_steps - step]:
            pace(optimizer, args.sft_lr, step, args.sft_steps, args.warmup)
            loss = -logprobs(model, *padded(batches[place])).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), args.max_norm)
            optimizer.step()
            step += 1
            if step % 50 == 0:
                print(f"sft {step:4}/{args.sft_steps}  loss {loss:.3f}  {time.perf_counter() - began:.0f} s")


def adamw(model: Llama) -> torch.optim.Optimizer:
    """AdamW that draws matrices towards zero, and no norms."""
    matrices, norms = ([each for each in model.parameters() if (each.dim() == 2) == wide] for wide in (True, False))
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": norms, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95))


def pace(optimizer: torch.optim.Optimizer, most: float, step: int, steps: int, share: float) -> None:
    """Set the learning rate of a step, the first of which is numbered 0."""
    warmup = round(share * steps)
    left = step / warmup if step < warmup else (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
    for group in optimizer.param_groups:
        group["lr"] = most * left


def chunks(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


# --- Measuring --------------------------------------------------------------------------------------------------------


def measure(model: Llama, cache: Cache, tokenizer: Tokenizer, envs: Sequence[Any], args: Args) -> Share:
    """Play the first scenes of the test split once each, sampled at temperature 1 as in training."""
    pool, chance, successes = made(args, "test").pool, torch.Generator().manual_seed(args.seed), 0
    for names in chunks([pool[number] for number in range(args.held_out)], len(envs)):
        talks = [Talk(env, place) for place, (env, _) in enumerate(zip(envs, names, strict=False))]
        for talk, name in zip(talks, names, strict=True):
            seen, _ = talk.env.reset(options={"scene": name})
            talk.hear(tokenizer, shown(seen["messages"]), args.context)
        converse(model, cache, tokenizer, talks, args, chance)
        successes += sum(talk.success for talk in talks)
    return Share.of(successes, args.held_out)


# --- All of it --------------------------------------------------------------------------------------------------------


def main(args: Args) -> dict[str, Any]:
    """Teach, measure, hold conversations and learn from them, and measure again."""
    torch.manual_seed(args.seed)
    began, folder = time.perf_counter(), Path(args.start)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json")) if args.start else spelled(args)
    model = loaded(folder) if args.start else begun(args, tokenizer.get_vocab_size())
    if tokenizer.token_to_id(END) is None:
        raise ValueError(f"{folder}/tokenizer.json knows no {END}: this script is for models that were begun here.")
    if args.context > len(model.angles):
        raise ValueError(f"context={args.context} is more than the model's {len(model.angles)} positions.")
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters, {tokenizer.get_vocab_size()} tokens")
    if not args.start:
        teach(model, tokenizer, args)

    source, envs = made(args), [made(args) for _ in range(args.scenes * args.group)]
    source.reset(seed=args.seed + 1)  # not the stream of scenes that the expert showed
    cache, chance = Cache(model, len(envs), args.context), torch.Generator().manual_seed(args.seed)
    before = measure(model, cache, tokenizer, envs, args)
    print(f"success on {before.scenes} test scenes, sampled: {before}", flush=True)

    optimizer = adamw(model)
    rows: list[dict[str, float]] = []
    for update in range(args.updates):
        start, talks = time.perf_counter(), opened(source, envs, tokenizer, args)
        converse(model, cache, tokenizer, talks, args, chance)
        held = time.perf_counter()
        pace(optimizer, args.lr, update, args.updates, args.warmup)
        row = {"return": sum(talk.total for talk in talks) / len(talks), "tokens": sum(len(t.logprobs) for t in talks)}
        row |= {"success": sum(talk.success for talk in talks) / len(talks)}
        row |= {"entropy": -sum(sum(talk.logprobs) for talk in talks) / row["tokens"]}
        row |= {**reinforce(model, optimizer, talks, args)}
        row |= {"sampling_s": held - start, "learning_s": time.perf_counter() - held}
        rows.append(row)
        print(
            f"update {update + 1:3}/{args.updates}  return {row['return']:+.3f}  success {row['success']:.3f}  "
            f"telling {row['telling']:.2f}  entropy {row['entropy']:.3f}  gradient {row['gradient']:.2f}  "
            f"off {row['off']:.0e}  {row['sampling_s']:.1f} + {row['learning_s']:.1f} s",
            flush=True,
        )

    after, minutes = measure(model, cache, tokenizer, envs, args), (time.perf_counter() - began) / 60
    tokens = sum(row["tokens"] for row in rows)
    verdict = "their intervals are apart" if after.low > before.high else "that is no gain beyond chance"
    print(
        f"success on {after.scenes} test scenes, sampled: {before} before and {after} after, {verdict}; "
        f"{len(rows) * len(envs):,} conversations, {tokens:,} sampled tokens, {minutes:.1f} minutes"
    )
    if args.save:
        saved(model, tokenizer, Path(args.save))
    ends = {"before": structs.asdict(before), "after": structs.asdict(after), "tokens": tokens, "minutes": minutes}
    results = {"args": asdict(args), **ends, "updates": rows}
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


def parsed(argv: Sequence[str] | None = None) -> Args:
    """The arguments of a command line; what stands below each in `Args` is its help."""
    meanings = dict(re.findall(r'    (\w+): \w+ = .*\n    """(.*)"""', inspect.getsource(Args)))
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    for field in fields(Args):
        kind = {"action": argparse.BooleanOptionalAction} if field.type == "bool" else {"type": type(field.default)}
        name, meaning = f"--{field.name.replace('_', '-')}", f"{meanings[field.name]} ({field.default!r})"
        parser.add_argument(name, default=field.default, help=meaning.replace("%", "%%"), **kind)
    return Args(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    main(parsed())
