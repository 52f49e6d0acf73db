"""A pair is one turn as it was sampled, what is learnt of it is that turn alone, and a resumed run is the same run."""

import re
from dataclasses import fields

import msgspec
import pytest
import torch
from torch.nn.functional import logsigmoid

from stateset_gym import trainers
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.local.load import load
from stateset_gym.policies.local.prompt import Prompt
from stateset_gym.policies.local.sampler import Sampler
from stateset_gym.policies.registry import kind_of
from stateset_gym.trainers.branches import answers, drawn, preferred
from stateset_gym.trainers.episode import Episode, Stage
from stateset_gym.trainers.pairs import PAIRS, read
from tests.models import trained

SERVICE = trained.SERVICE
TURNED = {"env": {"scenes": [*trained.scenes(SERVICE)]}, "points": 16, "branches": 6, "margin": 0.02}
SMALL = {**TURNED, "batch": 8, "tested": 0, "max_new_tokens": 48, "learning_rate": 1e-3, "steps": 4}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return trained.saved(SERVICE, tmp_path_factory.mktemp("start"))


def made(start, output, **more):
    return trainers.make("dpo", SERVICE, model=start, output=str(output), **{**SMALL, **more})


@pytest.fixture(scope="module")
def run(start, tmp_path_factory):
    """A training, with all that was sampled for it: what was shown, and what was said."""
    said, held, generate, play = {}, [], Sampler.generate, Stage.play

    def recorded(self, rows, most):
        before = [tuple(row.ids) for row in rows]
        generate(self, rows, most)
        for shown, row in zip(before, rows, strict=True):
            said.setdefault(shown, []).append(tuple(row.said))

    def counted(self, *arguments):
        episodes = play(self, *arguments)
        held.extend(episodes)
        return episodes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sampler, "generate", recorded)
        patch.setattr(Stage, "play", counted)
        trainer = made(start, tmp_path_factory.mktemp("run") / "it", steps=12, checkpoint_every=1, beta=0.3)
        policy = trainer.train()
    return trainer, policy, said, held


def pairs_of(trainer):
    return [*read(trainer.folder)]


def steps_of(trainer):
    """The metrics of the steps, by their number."""
    return {line["step"]: line for line in trainer.folder.metrics() if "loss" in line}


def logp(model, prompt, answer):
    """The log-probability of an answer, from one forward of the bare model over it alone."""
    ids = torch.tensor([prompt + answer])
    scores = model(input_ids=ids).logits.float().log_softmax(-1)[0, len(prompt) - 1 : -1]
    return scores.gather(-1, torch.tensor(answer)[:, None]).sum()


def preference(model, pair):
    return logp(model, pair.prompt_ids, pair.chosen_ids) - logp(model, pair.prompt_ids, pair.rejected_ids)


def test_a_pair_is_two_answers_to_what_the_model_was_shown(run):
    trainer, _, said, _ = run
    pairs = pairs_of(trainer)
    assert len(pairs) > 3
    for pair in pairs:
        given = said[tuple(pair.prompt_ids)]
        assert tuple(pair.chosen_ids) in given
        assert tuple(pair.rejected_ids) in given
        assert pair.chosen_ids != pair.rejected_ids
        assert pair.chosen_return - pair.rejected_return > 0.02
    assert {pair.turn for pair in pairs} - {0}, "all pairs are of first turns: nothing that was said is in a prompt"


def test_its_prompt_is_the_transcript_up_to_its_turn_with_the_ids_that_were_sampled(run, start):
    trainer, _, said, _ = run
    prompt = Prompt(load(start, "cpu", "auto").tokenizer)
    stop = next(iter(prompt.stops))
    env = kind_of(SERVICE)(prompt="none", **TURNED["env"])
    for pair in pairs_of(trainer):
        observation, _ = env.reset(options={"scene": pair.scene})
        for turn in range(pair.turn):
            shown = prompt.text(observation["messages"])
            size = next(at for at in range(len(pair.prompt_ids)) if prompt.words(pair.prompt_ids[:at]) == shown)
            answer = next(
                one
                for one in said[tuple(pair.prompt_ids[:size])]
                if tuple(pair.prompt_ids[size : size + len(one)]) == one
            )
            words = prompt.words([*answer[:-1]] if answer[-1] == stop else [*answer])
            observation, _, terminated, truncated, _ = env.step(words)
            assert not terminated, turn
            assert not truncated, turn
        assert prompt.text(observation["messages"]) == pair.prompt == prompt.words(pair.prompt_ids)
        assert (pair.chosen, pair.rejected) == (prompt.words(pair.chosen_ids), prompt.words(pair.rejected_ids))
        for ids in (pair.chosen_ids, pair.rejected_ids):
            assert ids[-1] == stop or len(ids) == SMALL["max_new_tokens"]
            assert stop not in ids[:-1]


def test_the_better_answers_become_likelier_and_trl_reports_by_how_much(run, start):
    trainer, policy, _, _ = run
    config = trainer.config
    first, pairs = load(start, "cpu", "auto").model, pairs_of(trainer)
    with torch.no_grad():
        for pair in pairs:
            for told, ids in ((pair.ref_chosen_logps, pair.chosen_ids), (pair.ref_rejected_logps, pair.rejected_ids)):
                assert told == pytest.approx(logp(first, pair.prompt_ids, ids).item(), abs=1e-4)
        # What a step reports is of the model before it.
        before = load(trainer.folder.checkpoint(config.steps - 1), "cpu", "auto").model
        batch = trainer._pairs.of(range((config.steps - 1) * config.batch, config.steps * config.batch), None)
        grown = torch.stack([preference(before, pair) - preference(first, pair) for pair in batch]) * config.beta
        line = steps_of(trainer)[config.steps]
        assert line["rewards/margins"] == pytest.approx(grown.mean().item(), abs=1e-4)
        assert line["loss"] == pytest.approx(-logsigmoid(grown).mean().item(), abs=1e-4)
        assert line["rewards/margins"] > 0.1
        assert steps_of(trainer)[1]["rewards/margins"] == pytest.approx(0, abs=1e-4)
        after = [preference(policy.model, pair) - preference(first, pair) for pair in pairs]
    assert sum(one > 0 for one in after) > 0.9 * len(after)


def test_a_training_learns_of_the_answers_alone(start, tmp_path):
    """Its gradient is that of DPO's formula over the answers; other targets for the prompts change nothing."""
    trainer = made(start, tmp_path / "run")
    with trainer.telling():
        adapter = trainer.adapter(trainer.start())
        inputs = adapter._prepare_inputs([{"row": row} for row in range(8)])
    pairs = trainer._pairs.of(range(8), None)
    model = adapter.accelerator.unwrap_model(adapter.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # away from the start, where all pairs count alike
        for weight in model.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=generator)
    theirs = gradient(model, adapter.compute_loss(adapter.model, inputs))

    bare = load(start, "cpu", "auto").model
    bare.load_state_dict(model.state_dict())
    references = torch.tensor([pair.ref_chosen_logps - pair.ref_rejected_logps for pair in pairs])
    grown = torch.stack([preference(bare, pair) for pair in pairs]) - references
    ours = gradient(bare, -logsigmoid(trainer.config.beta * grown).mean())
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-3)
    assert ours.norm() > 1e-2

    def altered(where):
        """The gradient where the targets of some tokens are others than what the model is shown."""
        whole, forward = inputs["completion_mask"].bool(), model.forward

        def other(*arguments, labels, **more):
            moved = torch.where(where(whole) & (labels != -100), (labels + 1) % 5, labels)
            return forward(*arguments, labels=moved, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model, "forward", other)
            return gradient(model, adapter.compute_loss(adapter.model, inputs))

    assert torch.equal(altered(lambda whole: ~whole), theirs)
    assert not torch.allclose(altered(lambda whole: whole), theirs, atol=1e-3)


def test_the_answers_alone_are_scored(start, tmp_path):
    """However long what came before them is: a vocabulary of numbers for each of its tokens would be for nothing."""
    trainer, scored = made(start, tmp_path / "run"), []
    with trainer.telling():
        adapter = trainer.adapter(trainer.start())
        inputs = adapter._prepare_inputs([{"row": row} for row in range(8)])
    head = adapter.accelerator.unwrap_model(adapter.model).get_output_embeddings()
    head.register_forward_hook(lambda module, given, found: scored.append(found.shape[:-1].numel()))
    adapter.compute_loss(adapter.model, inputs)
    assert scored == [sum(len(pair.chosen_ids + pair.rejected_ids) for pair in trainer._pairs.of(range(8), None))]


def gradient(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


def kept(trainer):
    """What a run leaves, but for its times."""
    lines = [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in trainer.folder.metrics()]
    summary = msgspec.structs.replace(trainer.summary, minutes=0.0)
    return lines, (trainer.folder.path / PAIRS).read_bytes(), summary


@pytest.mark.parametrize(("refresh", "cut"), [(0, 2), (2, 3), (2, 4)])
def test_a_resumed_run_is_the_same_run(start, tmp_path, refresh, cut):
    """Also where pairs are made anew on the way, in the midst of such a round and just before one."""
    more = {"refresh_every": refresh, "steps": 6}
    whole = made(start, tmp_path / "whole", **more)
    one = whole.train().model.state_dict()
    made(start, tmp_path / "parts", **more).train(callbacks=[lambda event: event.step == cut])
    again = trainers.resume(tmp_path / "parts")
    other = again.train(resume=True).model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    for left, right in zip(kept(whole), kept(again), strict=True):
        assert left == right
    assert len({pair.round for pair in pairs_of(whole)}) == (3 if refresh else 1)
    assert not all(
        torch.equal(value, load(start, "cpu", "auto").model.state_dict()[name]) for name, value in one.items()
    )


def test_a_round_is_made_by_the_model_as_it_is_then(start, tmp_path):
    trainer = made(start, tmp_path / "run", refresh_every=2, steps=4, checkpoint_every=2)
    trainer.train()
    then = load(trainer.folder.checkpoint(2), "cpu", "auto").model
    first = load(start, "cpu", "auto").model
    second = [pair for pair in pairs_of(trainer) if pair.round == 1]
    assert second
    with torch.no_grad():
        for pair in second:
            assert pair.ref_chosen_logps == pytest.approx(logp(then, pair.prompt_ids, pair.chosen_ids).item(), abs=1e-4)
        assert any(abs(pair.ref_chosen_logps - logp(first, pair.prompt_ids, pair.chosen_ids)) > 1e-2 for pair in second)
    assert steps_of(trainer)[3]["rewards/margins"] == pytest.approx(0, abs=1e-4)


def test_the_matrices_of_lora_learn_against_the_model_without_them(start, tmp_path):
    trainer = made(start, tmp_path / "run", lora=4, refresh_every=2, learning_rate=1e-2)
    trainer.train()
    lines = steps_of(trainer)
    assert lines[1]["rewards/margins"] == pytest.approx(0, abs=1e-4) == lines[3]["rewards/margins"]
    assert lines[2]["rewards/margins"] > 1e-3
    with torch.no_grad():
        first = load(start, "cpu", "auto").model
        pairs = [pair for pair in pairs_of(trainer) if pair.round == 0]
        for pair in pairs:
            assert pair.ref_chosen_logps == pytest.approx(
                logp(first, pair.prompt_ids, pair.chosen_ids).item(), abs=1e-4
            )


def test_what_was_held_is_told(run):
    trainer, _, _, held = run
    config = trainer.config
    assert trainer.summary.episodes == len(held) == config.points * (config.branches + 1)
    assert trainer.summary.tokens == sum(sum(episode.sampled) for episode in held)


def test_the_making_of_pairs_is_shown(start, tmp_path):
    ticks = []
    trainer = made(start, tmp_path / "run", steps=1, points=64, branches=7)
    trainer.train(progress=lambda *told: ticks.append(told))
    shown = [told for told in ticks if told[0].startswith("compares answers")]
    assert [told[1:] for told in shown] == [(0, 64), (32, 64)]
    assert re.fullmatch(r"compares answers, \d+ pairs", shown[1][0])


def test_every_pair_is_shown_once_before_any_is_shown_again(run):
    trainer = run[0]
    count = len(pairs_of(trainer))
    rows = trainer._pairs.of(range(2 * count), None)
    orders = [[pair.chosen_ids for pair in rows[:count]], [pair.chosen_ids for pair in rows[count:]]]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(pair.chosen_ids for pair in pairs_of(trainer))
    assert orders[0] != orders[1]


def test_scenes_that_are_held_out_make_no_pairs(start, tmp_path):
    trainer = made(start, tmp_path / "run", env={"difficulty": "easy"}, evaluate_every=4, held_out=8, margin=0.0)
    trainer.train()
    assert len(trainer.reserved) == 8
    assert not {pair.scene for pair in pairs_of(trainer)} & {*trainer.reserved}


def test_where_no_answer_is_better_it_says_what_to_do(start, tmp_path):
    why = r"At none of points=4 turns did branches=2 answers differ.* margin=5\.0: .*Look at more turns \(points\)"
    with pytest.raises(BadArgument, match=why):
        made(start, tmp_path / "run", points=4, branches=2, margin=5.0).train()


@pytest.mark.parametrize("lost", [lambda lines: lines[:-1], lambda lines: []])
def test_a_run_whose_pairs_are_lost_does_not_go_on(start, tmp_path, lost):
    trainer = made(start, tmp_path / "run", steps=2, points=8)
    trainer.train(callbacks=[lambda event: event.step == 1])
    file = trainer.folder.path / PAIRS
    file.write_bytes(b"".join(lost(file.read_bytes().splitlines(keepends=True))))
    with pytest.raises(BadArgument, match=r"pairs\.jsonl does not hold the pairs that step 1 goes on with.*output"):
        trainers.resume(trainer.folder.path).train(resume=True)
    file.write_bytes(b"{}\n")
    with pytest.raises(BadArgument, match=r"pairs\.jsonl, line 1, is no pair"):
        trainers.resume(trainer.folder.path).train(resume=True)


@pytest.mark.parametrize("model", ["", "reference"])
def test_it_begins_with_a_model_that_has_learnt(tmp_path, model):
    with pytest.raises(BadArgument, match=f"model={model!r} has learnt nothing yet.*'sft' first"):
        made(model, tmp_path / "run").train()


def episode(said, total, forced=False):
    """A conversation that says something, is shown 7, and says 8."""
    size = len(said)
    return Episode(
        "scene",
        prompt_ids=[1],
        completion_ids=[*said, 7, 8],
        sampled=[*[True] * (size - 1), not forced, False, True],
        logprobs=[0.0] * (size + 2),
        turns=[*[0] * size, 1, 1],
        rewards=[0.25, total - 0.25],
    )


def test_an_answer_is_worth_the_mean_of_what_came_of_it():
    branches = [episode([2, 3], 1.0), episode([4], 0.75), episode([2, 3], 0.0), episode([5], 0.25)]
    given = answers(branches)
    assert [(one.ids, one.returns, one.worth) for one in given] == [
        ([2, 3], [1.0, 0.0], 0.5),
        ([4], [0.75], 0.75),
        ([5], [0.25], 0.25),
    ]
    best, worst = preferred(given, 0.25)
    assert (best.ids, worst.ids) == ([4], [5])
    assert preferred(given, 0.5) is None
    assert preferred(given[:1], 0.0) is None
    assert preferred([], 0.0) is None


def test_an_answer_that_a_grammar_finished_is_in_no_pair():
    branches = [episode([2, 3], 1.0), episode([4, 3], 2.0, forced=True), episode([5, 3], 0.0)]
    assert [one.ids for one in answers(branches)] == [[2, 3], [5, 3]]


def test_of_answers_as_good_the_one_that_was_given_more_often_counts():
    branches = [episode([2], 1.0), episode([3], 1.0), episode([3], 1.0), episode([4], 0.0), episode([4], 0.0)]
    branches += [episode([5], 0.0)]
    assert [one.ids for one in preferred(answers(branches), 0.0)] == [[3], [4]]


def test_what_is_left_to_chance_follows_from_its_place():
    numbers = [drawn(0, number, at, branch) for number in range(3) for at in range(3) for branch in range(3)]
    assert len({*numbers}) == 27
    assert drawn(0, 1, 2, 0) == drawn(0, 1, 2, 0) != drawn(1, 1, 2, 0)


def test_its_settings_are_few():
    assert len(fields(trainers.find("dpo").config_class)) <= 30
