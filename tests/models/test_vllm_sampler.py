"""Sampling with vLLM: TRL's own code runs as it is, and a small model answers where vLLM's engine would."""

import copy
import functools
import inspect
import math
import os
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from trl.generation import vllm_generation
from trl.generation.vllm_client import VLLMClient
from trl.generation.vllm_generation import VLLMGeneration
from typer.testing import CliRunner

from stateset_gym import trainers
from stateset_gym.__main__ import app
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.local import Local
from stateset_gym.policies.local.choose import Chance
from stateset_gym.policies.local.load import load
from stateset_gym.policies.local.sampler import Sampler
from stateset_gym.policies.runs import Setting
from stateset_gym.trainers import vllm_sampler
from stateset_gym.trainers.vllm_sampler import VLLMSampler

from .trained import BARE, ECHO, SERVICE, saved, scenes, untrained

CLOSE = 1e-4
MOST = 40
TEMPERATURE = 1.5


class Engine:
    """A model that goes on with ids as vLLM does, and weights that are given to it."""

    def __init__(self, model, vocabulary):
        self.model, self.vocabulary, self.calls = model, vocabulary, []

    def sample(self, prompts, *, temperature, max_tokens, stop_token_ids, ignore_eos, logprobs, n, **rest):
        assert (ignore_eos, logprobs, n) == (True, 0, 1)
        assert rest == {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
        self.calls.append((copy.deepcopy(prompts), max_tokens))
        sampler = Sampler(self.model, self.vocabulary, frozenset(stop_token_ids), Chance(temperature))
        rows = [sampler.row() for _ in prompts]
        for number, (row, ids) in enumerate(zip(rows, prompts, strict=True)):
            row.ids = [*ids]
            row.chance.seed(1000 * len(self.calls) + number)
        sampler.generate(rows, max_tokens)
        return rows

    @torch.no_grad()
    def push(self, weights):
        """Take in weights, which TRL gives at first and after each step."""
        own = dict(self.model.named_parameters())
        for name, weight in weights:
            own[name].copy_(weight)


class Client:
    """TRL's client of a server, with no server behind it."""

    def __init__(self, engine, base_url, group_port, connection_timeout):
        self.engine = engine

    def init_communicator(self, device):
        pass

    def get_server_info(self):
        return {"model_config": {"logprobs_mode": "processed_logprobs"}}

    def update_named_params(self, metadata, named_params):
        self.engine.push(named_params)

    def reset_prefix_cache(self):
        pass

    def generate(
        self,
        prompts,
        features=None,
        n=1,
        repetition_penalty=1.0,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        max_tokens=16,
        logprobs=0,
        structured_outputs_regex=None,
        generation_kwargs=None,
    ):
        assert (features, structured_outputs_regex) == (None, None)
        rows = self.engine.sample(
            prompts, n=n, repetition_penalty=repetition_penalty, temperature=temperature, top_p=top_p, top_k=top_k,
            min_p=min_p, max_tokens=max_tokens, logprobs=logprobs, **generation_kwargs,
        )  # fmt: skip
        return {
            "prompt_ids": prompts,
            "completion_ids": [row.said for row in rows],
            "logprobs": [[[one] for one in row.logprobs] for row in rows],
            "logprob_token_ids": [[[one] for one in row.said] for row in rows],
        }


class LLM:
    """vLLM's engine in the process that trains, as far as TRL knows it."""

    def __init__(self, engine, *, model, logprobs_mode, **rest):
        assert os.path.isdir(model)
        assert logprobs_mode == "processed_logprobs"
        self.engine = engine
        runner = SimpleNamespace(model=SimpleNamespace(load_weights=engine.push))
        worker = SimpleNamespace(model_runner=runner)
        self.llm_engine = SimpleNamespace(model_executor=SimpleNamespace(driver_worker=worker))

    def reset_prefix_cache(self):
        pass

    def generate(self, prompts, sampling_params, use_tqdm):
        rows = self.engine.sample([each["prompt_token_ids"] for each in prompts], **sampling_params)
        return [
            SimpleNamespace(
                prompt_token_ids=prompt["prompt_token_ids"],
                outputs=[
                    SimpleNamespace(
                        token_ids=tuple(row.said),
                        logprobs=[
                            {token: SimpleNamespace(logprob=one, rank=3)}
                            for token, one in zip(row.said, row.logprobs, strict=True)
                        ],
                    )
                ],
            )
            for prompt, row in zip(prompts, rows, strict=True)
        ]


class Generation:
    """The part of TRL's class that is called."""

    def __init__(self, answers):
        self.answers, self.generation_kwargs, self.asked = answers, {}, []

    def generate(self, prompts, images, num_generations, profiler=None):
        assert (images, num_generations) == (None, 1)
        self.asked.append((self.max_completion_length, prompts))
        return self.answers(prompts, self.max_completion_length)


def names(function):
    return {name: (each.kind, each.default) for name, each in inspect.signature(function).parameters.items()}


def test_what_stands_in_for_others_has_their_signatures():
    assert names(Generation.generate) == names(VLLMGeneration.generate)
    assert names(Client.generate) == names(VLLMClient.generate)
    assert {*names(Client.__init__)} - {"engine"} <= {*names(VLLMClient.__init__)}
    for name in ("init_communicator", "update_named_params", "reset_prefix_cache", "get_server_info"):
        ours, theirs = names(getattr(Client, name)), names(getattr(VLLMClient, name))
        assert [*ours] == [*theirs][: len(ours)]
    # What is set on it is what it reads when it is asked.
    assert {"max_completion_length", "generation_kwargs"} <= {*VLLMGeneration.generate.__code__.co_names}


@pytest.fixture
def installed(monkeypatch):
    """As though vLLM was there."""
    monkeypatch.setattr(vllm_sampler, "find_spec", lambda name: name)
    monkeypatch.setattr(vllm_generation, "is_vllm_available", lambda: True)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with mock.patch.dict(os.environ):  # TRL sets what processes are told
        yield


def engine(monkeypatch, folder):
    """What answers in place of vLLM: it begins with other weights than those of the folder."""
    model, tokenizer = load(folder, "cpu", "float32")
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    found = Engine(other, len(tokenizer))
    monkeypatch.setattr(vllm_generation, "VLLMClient", functools.partial(Client, found))
    monkeypatch.setattr(vllm_generation, "LLM", functools.partial(LLM, found), raising=False)
    monkeypatch.setattr(vllm_generation, "SamplingParams", dict, raising=False)
    return found


def forward(model, ids):
    """The log-probability of each id but the first, from one pass over all."""
    with torch.no_grad():
        scores = (model(input_ids=torch.tensor([ids]), use_cache=False).logits[0] / TEMPERATURE).log_softmax(-1)
    return scores[:-1].gather(-1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()


class Heard:
    """A training whose conversations are listened to, with what its model gives their ids at that time."""

    def __init__(self, folder, **config):
        settings = {"env": {"scenes": scenes(SERVICE, 2)}, "batch": 8, "group": 4, "max_new_tokens": MOST, "tested": 0}
        name = config.pop("name", "grpo")
        self.trainer = trainers.make(
            name, SERVICE, model=str(folder / "model"), output=folder / "run", temperature=TEMPERATURE,
            **settings, **config,
        )  # fmt: skip
        self.held, self.batches = [], []
        adapter = self.trainer.adapter

        def listening(loaded):
            made = adapter(loaded)
            self.stops = Local(self.trainer.kind, loaded).prompt.stops
            stage, scored = made.rollout_func._stage, made._generate_and_score_completions
            play = stage.play

            def heard(*given):
                episodes = play(*given)
                model = made.accelerator.unwrap_model(made.model)
                rows = [[*each.prompt_ids, *each.completion_ids] for each in episodes]
                self.held.append([(each, forward(model, ids)) for each, ids in zip(episodes, rows, strict=True)])
                return episodes

            def kept(inputs):
                self.batches.append(scored(inputs))
                return self.batches[-1]

            stage.play, made._generate_and_score_completions = heard, kept
            return made

        self.trainer.adapter = listening
        self.trainer.train()


@pytest.mark.parametrize(("mode", "name"), [("server", "grpo"), ("colocate", "grpo"), ("colocate", "grpo_turns")])
def test_conversations_are_what_the_engine_sampled(mode, name, installed, monkeypatch, tmp_path):
    saved(SERVICE, tmp_path / "model")
    answers = engine(monkeypatch, tmp_path / "model")
    heard = Heard(tmp_path, name=name, vllm=mode, steps=2, learning_rate=1e-3)
    prompts = {tuple(ids) for call, most in answers.calls for ids in call}
    assert {most for _, most in answers.calls} == {MOST}
    told = 0
    for episode, scores in (each for held in heard.held for each in held):
        ids, first = [*episode.prompt_ids, *episode.completion_ids], len(episode.prompt_ids)
        own = [first + at for at, chosen in enumerate(episode.sampled) if chosen]
        # Log-probabilities are those of the model as it was trained by then.
        assert [episode.logprobs[at - first] for at in own] == pytest.approx([scores[at - 1] for at in own], abs=CLOSE)
        assert {one for one, chosen in zip(episode.logprobs, episode.sampled, strict=True) if not chosen} <= {0.0}
        # What was asked is the conversation up to each answer, and every answer ends by our rule.
        marks = [*[False] * first, *episode.sampled]
        for start in (at for at in own if not marks[at - 1]):
            assert tuple(ids[:start]) in prompts
            end = next((at for at in range(start, len(ids)) if not marks[at]), len(ids))
            assert ids[end - 1] in heard.stops or end - start == MOST
            assert not heard.stops & {*ids[start : end - 1]}
            told += 1
    assert told > 16
    conversations = [episode for held in heard.held for episode, _ in held]
    assert len({tuple(each.completion_ids) for each in conversations}) > 8
    for batch in heard.batches:
        weighed = batch["importance_sampling_ratio"]
        assert weighed.tolist() == [pytest.approx([1.0] * weighed.shape[1], abs=1e-2)] * 8
    last = heard.batches[-1]
    for row, (episode, _) in enumerate(heard.held[-1]):
        there = last["completion_mask"][row] == 1
        assert last["completion_ids"][row][there].tolist() == episode.completion_ids
        assert (last["completion_mask"] * last["tool_mask"])[row][there].bool().tolist() == episode.sampled
        assert last["sampling_per_token_logps"][row][there].tolist() == pytest.approx(episode.logprobs)
    before = load(tmp_path / "model", "cpu", "float32").model
    weights = zip(answers.model.parameters(), before.parameters(), strict=True)
    assert max((own - old).abs().max().item() for own, old in weights) > 1e-4


def answered(prompts, most):
    """Token 5 until there is no room."""
    said = [[5] * most for _ in prompts]
    scores = [[[-0.25 if at else None] for at in range(most)] for _ in prompts]
    return prompts, said, scores, [[[5]] * most for _ in prompts]


def policy(context):
    return Local(type(Setting(ECHO, "", BARE).env()), untrained(ECHO, context=context), temperature=1.0)


def test_an_answer_ends_where_the_context_does():
    own, generation = policy(64), Generation(answered)
    sampler = VLLMSampler(generation, own)
    assert generation.generation_kwargs == {"stop_token_ids": sorted(own.prompt.stops), "ignore_eos": True}
    rows = [sampler.row() for _ in range(3)]
    for row, length in zip(rows, (10, 60, 20), strict=True):
        row.ids = [7] * length
    sampler.open([7] * 10)
    sampler.generate(rows, 16)
    assert generation.asked == [(4, [[7] * 60]), (16, [[7] * 10, [7] * 20])]
    assert [len(row.ids) for row in rows] == [26, 64, 36]
    assert [row.said for row in rows] == [[5] * 16, [5] * 4, [5] * 16]
    assert all(math.isnan(row.logprobs[0]) and row.logprobs[1:] == [-0.25] * (len(row.said) - 1) for row in rows)
    assert all(all(row.sampled) for row in rows)


def test_a_log_probability_is_that_of_the_token_drawn():
    sampler = VLLMSampler(
        Generation(lambda prompts, most: (prompts, [[5, 6]], [[[-0.1, -2.0], [-0.3, -1.5]]], [[[9, 5], [6, 9]]])),
        policy(64),
    )
    row = sampler.row()
    row.ids = [7]
    sampler.generate([row], 2)
    assert row.logprobs == [-2.0, -0.3]


def asked(tmp_path, **config):
    (tmp_path / "model").mkdir(exist_ok=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    return trainers.make("grpo", ECHO, model=str(tmp_path / "model"), output=tmp_path / "run", **config)


def test_a_missing_vllm_is_told_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(vllm_sampler, "find_spec", lambda name: None)
    model = str(tmp_path / "model")
    with pytest.raises(BadArgument, match=f"vllm='server'.*pip install vllm, and .*'trl vllm-serve --model {model}'"):
        asked(tmp_path, vllm="server").check()
    with pytest.raises(BadArgument, match=r"vllm='colocate' needs the package vllm: pip install vllm\."):
        asked(tmp_path, vllm="colocate").check()
    asked(tmp_path).check()
    line = ["train", "grpo", "--env", ECHO, "--set", f"model={model}", "--set", "vllm=server", "--dry-run"]
    done = CliRunner().invoke(app, line)
    assert isinstance(done.exception, BadArgument)
    assert "pip install vllm" in str(done.exception)


def test_what_does_not_go_with_vllm_is_told(tmp_path, installed, monkeypatch):
    with pytest.raises(BadArgument, match="vllm='colocate' with constrained=True: the grammar of"):
        asked(tmp_path, vllm="colocate", constrained=True).check()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadArgument, match=r"vllm='server' with 2 processes.*vllm='colocate'"):
        asked(tmp_path, vllm="server").check()
    asked(tmp_path, vllm="colocate").check()


@pytest.mark.parametrize("name", ["sft", "grpo", "dpo"])
def test_a_model_that_is_not_there_is_told_by_a_dry_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for model, why in (("nowhere", "nowhere is no folder on this machine"), ("empty", "empty has no config.json")):
        done = CliRunner().invoke(app, ["train", name, "--env", ECHO, "--set", f"model={model}", "--dry-run"])
        assert isinstance(done.exception, BadArgument)
        assert f"hf:{model}: {why}" in str(done.exception)
