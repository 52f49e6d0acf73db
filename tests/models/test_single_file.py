"""The single-file example: its model is a Llama, it learns from what was sampled and nothing else, and it learns."""

import importlib.util
import json
import math
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from stateset_gym import trainers
from stateset_gym.policies.local.load import load
from stateset_gym.trainers import reference
from stateset_gym.trainers.configs import GRPOConfig
from stateset_gym.trainers.episode import Stage, Start

from .trained import BARE, SERVICE, saved, scenes, untrained

FILE = Path(__file__).parents[2] / "examples" / "grpo_single_file.py"


def script():
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("grpo_single_file", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks for its module there
    spec.loader.exec_module(module)
    return module


S = script()
SMALL = {"width": 32, "layers": 2, "heads": 2, "scenes": 4, "group": 4, "max_tokens": 12, "context": 200}
ECHO = {**SMALL, "env": "StateSet/Echo-v0", "sft_steps": 15, "sft_batch": 8, "sft_lr": 1e-2, "held_out": 100}


@pytest.fixture(scope="module")
def words():
    return S.spelled(S.Args())


def talks_of(args, model, tokenizer, seed=0):
    """Conversations that the model held, each group from one snapshot."""
    source = S.made(args)
    source.reset(seed=seed)
    talks = S.opened(source, [S.made(args) for _ in range(args.scenes * args.group)], tokenizer, args)
    cache = S.Cache(model, len(talks), args.context)
    S.converse(model, cache, tokenizer, talks, args, torch.Generator().manual_seed(seed))
    return talks


def halting(args, tokenizer, seed=0):
    """A model of random weights that is fond of some tokens, of the end too, so that answers are of many lengths."""
    torch.manual_seed(seed)
    model = S.begun(args, tokenizer.get_vocab_size())
    for layer in model.layers:
        for weight in (layer.self_attn["o_proj"].weight, layer.mlp["down_proj"].weight):
            torch.nn.init.normal_(weight, std=args.width**-0.5)
    end = tokenizer.token_to_id(S.END)
    model.norm.weight.data *= 5
    model.embed_tokens.weight.data[end] += 0.2
    return model


@pytest.mark.parametrize("more", [{}, {"head_dim": 24}, {"rope_parameters": {"rope_theta": 500.0}}])
def test_its_model_is_a_llama(tmp_path, more):
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=99, tie_word_embeddings=True, initializer_range=0.2, **{**sizes, **more})
    torch.manual_seed(1)
    theirs = LlamaForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    ids = torch.randint(99, (3, 50))
    with torch.no_grad():
        ours = S.loaded(tmp_path)
        got, expected = ours.logits(ours(ids)), theirs(ids).logits
    assert expected.std() > 0.5
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_what_it_saves_is_a_folder_of_hugging_face(tmp_path, words):
    args = S.Args(**SMALL)
    torch.manual_seed(2)
    ours = S.begun(args, words.get_vocab_size())
    S.saved(ours, words, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    messages = next(S.transcripts(args))[:3]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    said, heard = messages[:2], messages[2:]
    assert text == S.shown(said[:1]) + said[1]["content"] + S.END + S.shown(heard)
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
    assert ids[0].tolist() == words.encode(text, add_special_tokens=False).ids
    with torch.no_grad():
        torch.testing.assert_close(ours.logits(ours(ids)), theirs(ids).logits, atol=1e-4, rtol=0)
    again = S.loaded(tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(ours.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("wrong", [{"num_key_value_heads": 1}, {"tie_word_embeddings": False}, {"mlp_bias": True}])
def test_another_model_is_refused(tmp_path, wrong):
    LlamaForCausalLM(
        LlamaConfig(vocab_size=9, hidden_size=8, num_attention_heads=2, **{"tie_word_embeddings": True, **wrong})
    ).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        S.loaded(tmp_path)


def test_a_tokenizer_without_an_end_is_refused(tmp_path, words):
    S.saved(S.begun(S.Args(**SMALL), words.get_vocab_size()), words, tmp_path)
    Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match=r"tokenizer.json knows no <\|end\|>"):
        S.main(S.Args(start=str(tmp_path)))


def test_a_context_beyond_the_model_is_refused(tmp_path, words):
    S.saved(S.begun(S.Args(**SMALL), words.get_vocab_size()), words, tmp_path)
    with pytest.raises(ValueError, match="context=2000 is more than the model's 1024 positions"):
        S.main(S.Args(start=str(tmp_path), context=2000))


@pytest.mark.parametrize("seed", range(3))
def test_log_probs_at_sampling_are_those_of_training(words, seed):
    args = S.Args(**{**SMALL, "max_tokens": 20, "context": 400, "seed": seed})
    model = halting(args, words, seed)
    talks = talks_of(args, model, words, seed)
    lengths = {len(talk.ids) for talk in talks}
    assert len(lengths) > 4
    assert max(sum(b > a for a, b in zip(talk.said, talk.said[1:], strict=False)) for talk in talks) > 3  # turns
    with torch.no_grad():
        scores = S.logprobs(model, *S.padded(talks))
    sampled = torch.tensor([score for talk in talks for score in talk.logprobs])
    torch.testing.assert_close(sampled, scores, atol=1e-4, rtol=0)
    assert sampled.std() > 0.1


def test_samples_follow_the_model(words):
    """The first token of many equal conversations has the frequencies that the model gives."""
    args = S.Args(**{**SMALL, "scenes": 1, "group": 600, "max_tokens": 1, "env": "StateSet/Echo-v0"})
    model = halting(args, words)
    talks = talks_of(args, model, words)
    first = [talk.ids[talk.turn] for talk in talks]
    opening = talks[0].ids[: talks[0].turn]
    with torch.no_grad():
        chances = model.logits(model(torch.tensor([opening])))[0, -1].softmax(-1)
    for token in chances.topk(5).indices.tolist():
        p = chances[token].item()
        assert abs(first.count(token) / 600 - p) < 4 * math.sqrt(p * (1 - p) / 600)
    assert chances.max() > 0.02


def test_ids_are_what_was_shown_and_sampled(words):
    """The text of the ids is the transcript, and only an answer of the agent's counts as said."""
    args = S.Args(**{**SMALL, "context": 400})
    end = words.token_to_id(S.END)
    for talk in talks_of(args, halting(args, words), words):
        texts, at = [], 0
        while at < len(talk.ids):
            to = next((n for n in range(at, len(talk.ids)) if talk.said[n] != talk.said[at]), len(talk.ids))
            texts.append((talk.said[at], talk.ids[at:to]))
            at = to
        assert [said for said, _ in texts] == [n % 2 == 1 for n in range(len(texts))]
        messages = talk.env.observe()["messages"]
        for place, (said, ids) in enumerate(texts):
            shown = words.decode(ids, skip_special_tokens=False)
            if said:
                assert len(ids) <= args.max_tokens
                assert end not in ids[:-1]
            else:
                cut = place > 0 and texts[place - 1][1][-1] != end
                assert shown == S.END * cut + S.shown(messages[place : place + 1])
        assert len(talk.logprobs) == sum(talk.said)
        assert talk.over


def test_a_group_begins_alike_and_goes_its_own_ways(words):
    args = S.Args(**SMALL)
    groups = S.chunks(talks_of(args, halting(args, words), words), args.group)
    openings = [{tuple(talk.ids[: talk.said.index(True)]) for talk in group} for group in groups]
    assert [len(opening) for opening in openings] == [1] * args.scenes
    assert len(set.union(*openings)) == args.scenes
    assert all(len({tuple(talk.ids) for talk in group}) > 1 for group in groups)


def test_a_conversation_without_room_ends(words):
    args = S.Args(**{**SMALL, "context": 120})
    talks = talks_of(args, halting(args, words), words)
    assert all(len(talk.ids) <= 120 and talk.over for talk in talks)
    assert any(talk.env.observe()["turns_left"] and not talk.success for talk in talks)


def test_targets_of_the_customer_do_not_move_the_gradient(words):
    args = S.Args(**SMALL)
    model = halting(args, words)
    inputs, targets, said = S.padded(talks_of(args, model, words))
    gains = torch.randn(int(said.sum()), generator=torch.Generator().manual_seed(0))

    def gradient(targets):
        model.zero_grad()
        new = S.logprobs(model, inputs, targets, said)
        S.losses(new, new.detach(), gains, 0.2).mean().backward()
        return torch.cat([weight.grad.flatten() for weight in model.parameters()])

    before = gradient(targets)
    assert before.norm() > 0
    altered = torch.where(said, targets, (targets + 7) % 500)
    assert not torch.equal(altered, targets)
    assert torch.equal(gradient(altered), before)
    own = targets.clone()
    place = said.nonzero()[3]
    own[tuple(place)] = (own[tuple(place)] + 7) % 500
    assert not torch.allclose(gradient(own), before)


def test_demonstrations_count_what_the_expert_says(words):
    args = S.Args()
    for _, messages in zip(range(30), S.transcripts(args), strict=False):
        talk = S.demonstration(words, messages)
        answers = [m["content"] + S.END for m in messages if m["role"] == "assistant"]
        own = [token for token, said in zip(talk.ids, talk.said, strict=True) if said]
        assert words.decode(own, skip_special_tokens=False) == "".join(answers)
        assert words.decode(talk.ids, skip_special_tokens=False).count(S.ROLES[1]) == len(answers)
        assert talk.said[-1]


def test_advantages_by_hand():
    returns = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5])
    deviation = math.sqrt(4 * 0.25 / 3)
    scaled = 0.5 / (deviation + 1e-4)
    expected = torch.tensor([scaled, -scaled, -scaled, scaled, 0, 0, 0, 0])
    torch.testing.assert_close(S.advantages(returns, 4, scale=True), expected)
    torch.testing.assert_close(S.advantages(returns, 4, scale=False), torch.tensor([0.5, -0.5, -0.5, 0.5, 0, 0, 0, 0]))


def test_shares_by_hand():
    counts = torch.tensor([2, 3, 5])
    assert S.shares(counts, "dapo", 100).tolist() == pytest.approx([0.1] * 3)
    assert S.shares(counts, "grpo", 100).tolist() == pytest.approx([1 / 6, 1 / 9, 1 / 15])
    assert S.shares(counts, "dr_grpo", 100).tolist() == pytest.approx([1 / 300] * 3)
    with pytest.raises(ValueError, match="norm='mean' is unknown: choose dapo, grpo, dr_grpo"):
        S.shares(counts, "mean", 100)


def test_the_clipped_objective_by_hand():
    ratios = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1])
    gains = torch.tensor([2.0, -2.0, 2.0, -2.0, 3.0])
    losses = S.losses(ratios.log(), torch.zeros(5), gains, 0.2)
    torch.testing.assert_close(losses, -torch.tensor([2.4, -3.0, 1.0, -1.6, 3.3]))


@pytest.mark.parametrize("norm", ["dapo", "grpo", "dr_grpo"])
def test_micro_batches_and_groups_that_tell_nothing_change_no_gradient(words, norm):
    args = S.Args(**{**SMALL, "norm": norm, "max_norm": 1e9})
    model = halting(args, words)
    talks = talks_of(args, model, words)
    for place, talk in enumerate(talks):
        talk.total = 0.3 if place < 4 else float(place % 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)

    def gradient(micro):
        args.micro = micro
        row = S.reinforce(model, optimizer, talks, args)
        assert row["telling"] == 0.75
        return torch.cat([weight.grad.flatten() for weight in model.parameters()])

    model.zero_grad()
    gains = S.advantages(torch.tensor([talk.total for talk in talks]), args.group, args.scale)
    scores = S.logprobs(model, *S.padded(talks)).split([len(talk.logprobs) for talk in talks])
    parts = [gain * score for gain, score in zip(gains, scores, strict=True)]
    loss = {
        "dapo": lambda: torch.cat(parts).mean(),
        "grpo": lambda: torch.stack([part.mean() for part in parts]).mean(),
        "dr_grpo": lambda: torch.stack([part.sum() / args.max_tokens for part in parts]).mean(),
    }[norm]()
    (-loss).backward()
    expected = torch.cat([weight.grad.flatten() for weight in model.parameters()])
    for micro in (3, 100):
        torch.testing.assert_close(gradient(micro), expected, atol=1e-5 * expected.abs().max().item(), rtol=1e-3)


def replayed(episode, tokenizer, args):
    """The conversation that an agent would have here who said what was sampled in an episode of the trainer's."""
    talk = S.Talk(S.made(args))
    seen, _ = talk.env.reset(options={"scene": episode.scene})
    talk.hear(tokenizer, S.shown(seen["messages"]), args.context)
    rows = [*zip(episode.turns, episode.completion_ids, episode.logprobs, episode.sampled, strict=True)]
    for turn in range(max(episode.turns) + 1):
        if answer := [(token, logprob) for at, token, logprob, own in rows if own and at == turn]:
            assert not talk.over
            talk.add([token for token, _ in answer], said=True)
            talk.logprobs += [logprob for _, logprob in answer]
            talk.act(tokenizer, args)
    return talk


@pytest.mark.parametrize("context", [4096, 130])
def test_a_conversation_is_what_the_trainer_holds(tmp_path, context):
    """The same ids are shown and said, it ends where it ends there, and it is paid what it is paid there."""
    loaded = load(saved(SERVICE, tmp_path), "cpu", "auto") if context > 1000 else untrained(SERVICE, context=context)
    loaded.tokenizer.save_pretrained(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    args = S.Args(max_tokens=30, context=context)
    stage = Stage(SERVICE, BARE, loaded, 12, temperature=1.0, max_new_tokens=args.max_tokens)
    names = [scene for scene in scenes(SERVICE, 4) for _ in range(3)]
    episodes = stage.play([Start(stage.opening(scene), seed) for seed, scene in enumerate(names)])
    assert context > 1000 or sum(episode.cut for episode in episodes) > 3
    for episode in episodes:
        talk = replayed(episode, tokenizer, args)
        ids, said = episode.prompt_ids + episode.completion_ids, [False] * len(episode.prompt_ids) + episode.sampled
        assert (talk.ids, talk.said) == (ids[: len(talk.ids)], said[: len(talk.ids)])
        assert not any(said[len(talk.ids) :])  # what outgrew the context
        assert (talk.total, talk.success, talk.over) == (pytest.approx(episode.total), episode.success, True)
    assert len({episode.total for episode in episodes}) > 1 or context < 1000


@pytest.mark.parametrize("norm", ["grpo", "dapo"])
def test_it_learns_what_the_trainer_learns(tmp_path, monkeypatch, norm):
    """From the same conversations come the same gradients and, over the whole schedule, the same weights."""
    args = S.Args(updates=4, group=4, lr=2e-3, warmup=0.3, norm=norm, max_norm=0.5, max_tokens=40, context=4096)
    played = []
    play = Stage.play
    monkeypatch.setattr(Stage, "play", lambda *given: played.append(play(*given)) or played[-1])
    settings = {"learning_rate": args.lr, "warmup": args.warmup, "clip": args.max_norm, "group": args.group}
    settings |= {"steps": args.updates, "max_new_tokens": args.max_tokens, "env": {"scenes": scenes(SERVICE)}}
    start = saved(SERVICE, tmp_path / "start")
    trainer = trainers.make(norm, SERVICE, model=start, output=tmp_path / "run", batch=16, tested=0, **settings)
    trainer.train()

    model, tokenizer = S.loaded(tmp_path / "start"), Tokenizer.from_file(f"{start}/tokenizer.json")
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    optimizer = S.adamw(model)
    told = trainer.folder.metrics()
    for update, episodes in enumerate(played):
        S.pace(optimizer, args.lr, update, args.updates, args.warmup)
        row = S.reinforce(model, optimizer, [replayed(each, tokenizer, args) for each in episodes], args)
        # After the first update the weights differ by what was rounded.
        assert row["gradient"] == pytest.approx(told[update]["grad_norm"], rel=1e-2 if update else 1e-3)
        assert row["off"] < (1e-2 if update else 3e-4)
    after, theirs = (
        torch.nn.utils.parameters_to_vector(each.parameters()).detach()
        for each in (model, S.loaded(tmp_path / "run" / "final"))
    )
    assert max(line["grad_norm"] for line in told) > args.max_norm  # it was clipped
    assert (after - before).norm() > 0.1
    assert (after - theirs).norm() < 1e-2 * (after - before).norm()


def test_it_is_told_what_the_trainer_is_told():
    """The same numbers by default."""
    args, config = S.Args(), GRPOConfig()
    names = {"lr": "learning_rate", "max_norm": "clip", "max_tokens": "max_new_tokens"}
    names |= {name: name for name in ("warmup", "group")}
    assert {name: getattr(args, name) for name in names} == {name: getattr(config, of) for name, of in names.items()}
    assert (args.scenes * args.group, (args.clip, args.clip)) == (config.batch, config.clip_ratio)
    assert (config.schedule, config.temperature, config.optimizer) == ("cosine", 1.0, "adamw")
    assert {group["weight_decay"] for group in S.adamw(S.begun(args, 300)).param_groups} == {config.weight_decay, 0.0}


def test_what_it_begins_is_cut_and_shaped_as_a_reference_model(tmp_path, words):
    """It cuts text as the trainers' does, and they know the folder for one of theirs; its weights are plain ones."""
    assert S.PIECES == reference.SPLIT
    S.saved(S.begun(S.Args(width=64, heads=2, layers=2), words.get_vocab_size()), words, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    theirs = reference.model(tokenizer, width=64, layers=2).config.to_dict()
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("intermediate_size") == 3 * 64
    assert config.pop("rope_parameters")["rope_type"] == theirs["rope_parameters"]["rope_type"]
    assert config.items() <= {**theirs, "architectures": ["LlamaForCausalLM"]}.items()
    model = AutoModelForCausalLM.from_pretrained(tmp_path).model
    layer = model.layers[1]
    turned = layer.self_attn.o_proj.weight @ layer.self_attn.v_proj.weight
    torch.testing.assert_close(turned, torch.eye(64) / 10, atol=1e-5, rtol=0)
    assert not layer.mlp.down_proj.weight.any()
    drawn = model.embed_tokens, layer.mlp.up_proj, layer.self_attn.q_proj
    assert [each.weight.std().item() for each in drawn] == pytest.approx([1 / 8] * 3, rel=0.05)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A run on Echo, and what it left."""
    folder = tmp_path_factory.mktemp("learned")
    args = S.Args(**{**ECHO, "scenes": 8, "group": 16}, updates=25, lr=1e-2, seed=2, save=str(folder))
    args.json = str(folder / "results.json")
    return args, S.main(args), folder


def test_it_learns_echo(learned):
    _, results, folder = learned
    success = [row["success"] for row in results["updates"]]
    assert sum(success[:3]) / 3 < 0.6
    assert sum(success[-3:]) / 3 > 0.9
    assert results["after"]["low"] > results["before"]["high"]
    assert max(row["off"] for row in results["updates"]) < 1e-4
    assert json.loads((folder / "results.json").read_text()) == results
    assert Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size() > 300


def test_it_goes_on_from_a_folder(learned, capsys):
    args, results, folder = learned
    more = S.Args(
        **{**asdict(args), "updates": 1, "start": str(folder), "epochs": 2, "lr": 0.0, "save": "", "json": ""}
    )
    again = S.main(more)
    assert again["before"] == again["after"] == results["after"]
    assert "that is no gain beyond chance" in capsys.readouterr().out


def test_a_seed_decides_everything():
    args = {**ECHO, "sft_steps": 3, "updates": 2}
    runs = [S.main(S.Args(**{**args, "seed": seed})) for seed in (1, 1, 2)]
    times = {"sampling_s", "learning_s"}
    rows = [[{k: v for k, v in row.items() if k not in times} for row in run["updates"]] for run in runs]
    assert rows[0] == rows[1] != rows[2]


def test_one_kind_of_customer_service_end_to_end():
    args = S.Args(**{**SMALL, "kinds": "not_delivered", "sft_steps": 2, "updates": 1, "held_out": 5})
    results = S.main(args)
    assert results["before"]["scenes"] == 5
    assert results["updates"][0]["tokens"] > 0


def test_every_argument_has_its_help(capsys):
    assert S.parsed([]) == S.Args()
    assert S.parsed(["--no-scale", "--lr", "0.5", "--norm", "grpo"]) == S.Args(scale=False, lr=0.5, norm="grpo")
    with pytest.raises(SystemExit):
        S.parsed(["--help"])
    shown = capsys.readouterr().out
    assert all(f"--{field.name.replace('_', '-')}" in shown for field in fields(S.Args))
