"""Through TRL: only what the agent sampled is trained on, and each objective is what its formula says."""

import copy
import math
import types

import numpy as np
import pytest
import torch
import transformers
from trl import GRPOTrainer
from trl.trainer.utils import FusedCausalLMOutput, add_fused_lm_head
from typer.testing import CliRunner

from stateset_gym import trainers
from stateset_gym.__main__ import app
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.local.load import load
from stateset_gym.trainers import scoring, through_trl
from stateset_gym.trainers.episode import Episode, Stage
from stateset_gym.trainers.grpo import SPREAD, credit

from .trained import BARE, ECHO, SERVICE, TRIAGE, saved, scenes, trained

CLOSE = 1e-4
FAMILY = ("grpo", "gspo", "dr_grpo", "dapo", "rloo", "grpo_turns")


class Dealt:
    """A trainer of the family on conversations with tools, and one batch of it, as TRL makes it."""

    def __init__(self, folder, name="grpo", loaded=None, **config):
        settings = {"env": {"scenes": scenes(SERVICE, 2)}, "batch": 8, "group": 4, "max_new_tokens": 40, **config}
        model = saved(SERVICE, folder / "model")
        self.trainer = trainers.make(name, SERVICE, model=model, output=folder / "run", **settings)
        self.loaded = loaded or load(model, "cpu", "auto")
        self.trl = self.trainer.adapter(self.loaded)
        self.trl.current_gradient_accumulation_steps = 1
        self.trl.model.train()
        self.played = []
        stage = self.trl.rollout_func._stage
        play = stage.play

        def listen(*given):
            self.played.append(play(*given))
            return self.played[-1]

        stage.play = listen
        rows = [self.trl.train_dataset[number // settings["group"]] for number in range(settings["batch"])]
        self.batch = self.trl._generate_and_score_completions(rows)

    @property
    def episodes(self):
        return self.played[-1]

    @property
    def model(self):
        return self.trl.model

    def loss(self):
        return self.trl._compute_loss(self.model, self.batch)

    def gradient(self):
        self.model.zero_grad()
        self.loss().backward()
        return [weight.grad.clone() for weight in self.model.parameters() if weight.grad is not None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One that is only looked at."""
    return Dealt(tmp_path_factory.mktemp("grpo"), "dapo")


def lively(folder, name):
    """One whose conversations differ, and where turns are credited, one whose turns do."""
    for seed in range(10):
        dealt = Dealt(folder / str(seed), name, seed=seed)
        advantages = dealt.batch["advantages"]
        is_lively = advantages.abs().max() > 0.1 and (advantages.dim() == 1 or (advantages.std(1) > 0.1).any())
        told = {(*episode.prompt_ids, *episode.completion_ids, -1, *episode.sampled) for episode in dealt.episodes}
        ids = {(*episode.prompt_ids, *episode.completion_ids) for episode in dealt.episodes}
        if is_lively and len(told) == len(ids):  # `altered` knows a conversation by its ids
            return dealt
    raise AssertionError("ten batches in which all went equally well, or the same was said")


def distance(one, other):
    return max((a - b).abs().max().item() for a, b in zip(one, other, strict=True))


def by_hand(model, episode):
    """The log-probabilities of a conversation's sampled ids, from one pass over all of it and nothing of TRL's."""
    ids = [*episode.prompt_ids, *episode.completion_ids]
    scores = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].log_softmax(-1)
    first = len(episode.prompt_ids)
    places = [first + at for at, sampled in enumerate(episode.sampled) if sampled]
    return torch.stack([scores[place - 1, ids[place]] for place in places])


def test_the_batch_is_the_episodes(shared):
    assert any(episode.success for episode in shared.episodes)
    assert not all(episode.success for episode in shared.episodes)
    for number, episode in enumerate(shared.episodes):
        row = {name: each[number] for name, each in shared.batch.items() if each.dim()}
        assert row["prompt_ids"][row["prompt_mask"] == 1].tolist() == episode.prompt_ids
        there = row["completion_mask"] == 1
        assert row["completion_ids"][there].tolist() == episode.completion_ids
        assert (row["completion_mask"] * row["tool_mask"])[there].bool().tolist() == episode.sampled
        assert row["sampling_per_token_logps"][there].tolist() == pytest.approx(episode.logprobs)
    assert shared.batch["num_items_in_batch"] == sum(sum(episode.sampled) for episode in shared.episodes)


def altered(dealt, of_agent, number=7):
    """The gradient where the model is told other targets, all of those that are the agent's or all others.

    What it reads stays the same: the targets are exchanged between the trainer and the model, where there is a
    target and where there is none.
    """
    marks = {
        (*episode.prompt_ids, *episode.completion_ids): [*[False] * len(episode.prompt_ids), *episode.sampled]
        for episode in dealt.episodes
    }
    forward, changed = dealt.model.forward, 0

    def exchange(self, *args, input_ids, attention_mask, labels, **more):
        nonlocal changed
        labels = labels.clone()
        for row, ids in enumerate(input_ids):
            length = int(attention_mask[row].sum())
            own = torch.tensor(marks[tuple(ids[:length].tolist())])
            labels[row, :length][own == of_agent] = number
            changed += int((own == of_agent).sum())
        return forward(*args, input_ids=input_ids, attention_mask=attention_mask, labels=labels, **more)

    dealt.model.forward = types.MethodType(exchange, dealt.model)
    try:
        return dealt.gradient(), changed
    finally:
        dealt.model.forward = forward


@pytest.mark.parametrize("name", FAMILY)
def test_the_gradient_does_not_move_with_the_targets_of_what_was_shown(tmp_path, name):
    dealt = lively(tmp_path, name)
    true = dealt.gradient()
    assert max(each.abs().max() for each in true) > 1e-3
    shown, changed = altered(dealt, of_agent=False)
    assert changed > 100
    assert distance(true, shown) < 1e-7
    own, changed = altered(dealt, of_agent=True)
    assert changed == sum(sum(episode.sampled) for episode in dealt.episodes)
    assert distance(true, own) > 1e-3


def test_the_gradient_is_that_of_the_sampled_tokens_alone(shared):
    """Written out with torch: each conversation read by itself, and its advantage on its sampled ids."""
    true = shared.gradient()
    totals = np.array([episode.total for episode in shared.episodes]).reshape(2, 4)
    advantages = (totals - totals.mean(1, keepdims=True)) / (totals.std(1, ddof=1, keepdims=True) + SPREAD)
    count = sum(sum(episode.sampled) for episode in shared.episodes)
    shared.model.zero_grad()
    for episode, advantage in zip(shared.episodes, advantages.flatten(), strict=True):
        (-float(advantage) * by_hand(shared.model, episode).sum() / count).backward()
    assert distance(true, [weight.grad for weight in shared.model.parameters()]) < 1e-5


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """One whose model has TRL's own head."""
    monkeypatch.setattr(through_trl, "lighten", lambda *given: None)
    return Dealt(tmp_path, temperature=1.3)


def test_log_probabilities_are_trls_own_and_the_samplers(bare):
    batch = bare.batch
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    keep = batch["completion_ids"].shape[1]
    there = batch["completion_mask"].bool()
    own = there & batch["tool_mask"].bool()

    def ours():
        return bare.trl._get_per_token_logps_and_entropies(bare.model, ids, mask, keep, compute_entropy=True)

    def theirs_alone():
        """TRL's, each row by itself: no padding moves its positions, which rounding would tell."""
        for row in range(len(ids)):
            one, shown = ids[row : row + 1], mask[row : row + 1].bool()
            sizes = int(shown.sum()), int(there[row].sum())
            found = GRPOTrainer._get_per_token_logps_and_entropies(
                bare.trl, bare.model, one[shown][None], torch.ones(1, sizes[0]), sizes[1], compute_entropy=True
            )
            yield [torch.nn.functional.pad(each[0], (0, keep - sizes[1])) for each in found[:2]]

    with torch.no_grad():
        whole = [torch.stack(each) for each in zip(*theirs_alone(), strict=True)]
        same_head = ours()
        scoring.lighten(bare.trl.accelerator.unwrap_model(bare.model), FusedCausalLMOutput, 1.3)
        light = ours()
        bare.trl._counted = batch["completion_mask"] * batch["tool_mask"]
        counted = ours()
    assert whole[0][there].abs().max() > 1
    for found in (same_head, light):
        for mine, theirs in zip(found[:2], whole[:2], strict=True):
            torch.testing.assert_close(mine[there], theirs[there], atol=CLOSE, rtol=0)
            assert not mine[~there].any()
    for mine, theirs in zip(counted[:2], whole[:2], strict=True):
        torch.testing.assert_close(mine[own], theirs[own], atol=CLOSE, rtol=0)
        assert not mine[~own].any()
    torch.testing.assert_close(light[0][own], batch["sampling_per_token_logps"][own], atol=CLOSE, rtol=0)


def test_the_loss_is_at_the_temperature_of_the_sampling(tmp_path):
    dealt = Dealt(tmp_path, temperature=1.7)
    batch = dealt.batch
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    own = (batch["completion_mask"] * batch["tool_mask"]).bool()
    with torch.no_grad():
        found, *_ = dealt.trl._get_per_token_logps_and_entropies(dealt.model, ids, mask, own.shape[1])
        plain = torch.cat([by_hand(dealt.model, episode) for episode in dealt.episodes])
    torch.testing.assert_close(found[own], batch["sampling_per_token_logps"][own], atol=CLOSE, rtol=0)
    assert (found[own] - plain).abs().max() > 0.1


def test_rows_go_into_passes_by_their_length(monkeypatch, shared):
    """However they are dealt into passes, each gets its own numbers."""
    batch = shared.batch
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    keep = batch["completion_ids"].shape[1]
    with torch.no_grad():
        one, *_ = shared.trl._get_per_token_logps_and_entropies(shared.model, ids, mask, keep)
        monkeypatch.setattr(scoring, "WIDE", 400)
        assert len([*scoring.chunks(mask.sum(1).tolist())]) > 2
        many, *_ = shared.trl._get_per_token_logps_and_entropies(shared.model, ids, mask, keep)
    torch.testing.assert_close(one, many, atol=CLOSE, rtol=0)


def test_conversations_as_good_as_the_rest_of_their_group_cost_no_gradient(monkeypatch, shared):
    """They do not move the model; what is told of them is the same."""
    kept = shared.batch["advantages"]
    still = kept.clone()
    still[:4] = 0
    monkeypatch.setitem(shared.batch, "advantages", still)
    moved = []
    one = shared.model.register_forward_pre_hook(
        lambda module, given, named: moved.extend([torch.is_grad_enabled()] * len(named["input_ids"])),
        with_kwargs=True,
    )
    light, entropies = shared.gradient(), shared.trl._metrics["train"]["entropy"]
    told = entropies[-1]
    assert sorted(moved) == [False] * 4 + [True] * 4
    monkeypatch.setattr(shared.trl, "_passes", lambda lengths: [([*range(8)], True)])
    assert distance(light, shared.gradient()) < 1e-6
    assert entropies[-1] == pytest.approx(told, abs=1e-6)
    one.remove()


def test_a_group_that_is_paid_alike_has_no_advantages(tmp_path, monkeypatch):
    """Exactly none, though the mean of seven equal returns is not always that return."""
    play = Stage.play

    def alike(*given):
        episodes = play(*given)
        for number, episode in enumerate(episodes):
            episode.rewards = [0.95 if number < 7 else 0.1 * number]
        return episodes

    monkeypatch.setattr(Stage, "play", alike)
    dealt = Dealt(tmp_path, batch=14, group=7)
    assert not dealt.batch["advantages"][:7].any()
    assert dealt.batch["advantages"][7:].any()


def test_nothing_but_one_row_is_differentiated_where_no_conversation_moves_the_model(monkeypatch, shared):
    monkeypatch.setitem(shared.batch, "advantages", torch.zeros_like(shared.batch["advantages"]))
    moved = []
    hook = shared.model.register_forward_pre_hook(
        lambda module, given, named: moved.extend([torch.is_grad_enabled()] * len(named["input_ids"])),
        with_kwargs=True,
    )
    assert not any(each.any() for each in shared.gradient())
    assert sorted(moved) == [False] * 7 + [True]
    hook.remove()


def test_chunks_hold_every_row_once():
    lengths = [9000, 10, 4000, 4100, 20, 4096, 8192, 1]
    found = [*scoring.chunks(lengths)]
    assert sorted(row for chunk in found for row in chunk) == [*range(8)]
    assert all(max(lengths[row] for row in chunk) * len(chunk) <= 8192 for chunk in found if len(chunk) > 1)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_light_head_is_trls(temperature):
    theirs = trained(SERVICE).model
    mine = copy.deepcopy(theirs)
    add_fused_lm_head(theirs, temperature, outputs=("log_probs", "entropy", "is_top1"))
    scoring.lighten(mine, FusedCausalLMOutput, temperature)
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 300, (3, 20), generator=chance)
    labels = ids.masked_fill(torch.rand(3, 20, generator=chance) < 0.5, -100)
    labels[2] = -100
    weights = torch.rand(3, 19, generator=chance)
    found = []
    for model in (theirs, mine):
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, fused_lm_head=True)
        ((output.log_probs * weights).sum() + output.loss).backward()
        found.append((output, [weight.grad for weight in model.parameters()]))
    (one, slopes), (other, light) = found
    assert torch.equal(one.label_mask, other.label_mask)
    assert torch.equal(one.is_top1.bool(), other.is_top1.bool())
    for name in ("log_probs", "entropy", "loss"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=1e-5, rtol=1e-5)
    steepest = max(each.abs().max() for each in slopes)
    assert steepest > 0.1
    assert distance(slopes, light) < 1e-4 * steepest
    plain = {"input_ids": ids, "labels": labels.clone()}
    torch.testing.assert_close(mine(**plain).loss, theirs(**plain).loss)


def test_a_light_head_of_nothing_can_still_be_differentiated():
    """A pass without one token of the agent's adds nothing, and does not fail."""
    model = trained(ECHO).model
    scoring.lighten(model, FusedCausalLMOutput)
    ids = torch.tensor([[5, 6, 7]])
    output = model(input_ids=ids, labels=torch.full_like(ids, -100), fused_lm_head=True)
    assert output.loss == 0
    output.log_probs.sum().backward()
    assert not any(weight.grad.any() for weight in model.parameters() if weight.grad is not None)


def test_heads_that_do_more_than_project_are_left_to_trl():
    config = transformers.Gemma2Config(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    assert config.final_logit_softcapping
    model = transformers.AutoModelForCausalLM.from_config(config)
    scoring.lighten(model, FusedCausalLMOutput)
    assert "forward" not in vars(model)


def drifted(dealt, size=0.3):
    """The batch as if the model had moved since it was sampled; back come the sampled tokens' numbers, by row."""
    batch = dealt.batch
    chance = torch.Generator().manual_seed(0)
    drift = size * torch.randn(batch["completion_ids"].shape, generator=chance)
    with torch.no_grad():
        own = [by_hand(dealt.model, episode).numpy() for episode in dealt.episodes]
    old = batch["completion_ids"].new_zeros(drift.shape, dtype=torch.float32)
    rows = []
    for number, (episode, new) in enumerate(zip(dealt.episodes, own, strict=True)):
        places = torch.tensor(episode.sampled).nonzero()[:, 0]
        old[number, places] = torch.from_numpy(new) + drift[number, places]
        rows.append((new.astype(float), old[number, places].numpy().astype(float)))
    # What was shown is given ratios beside which all others would vanish.
    old += 3 * (1 - batch["tool_mask"]) * batch["completion_mask"]
    batch["old_per_token_logps"] = old
    return rows


def clipped(ratio, advantage, low=0.2, high=0.2):
    return -np.minimum(ratio * advantage, np.clip(ratio, 1 - low, 1 + high) * advantage)


def of_group(dealt, scaled):
    totals = np.array([episode.total for episode in dealt.episodes]).reshape(-1, 4)
    found = totals - totals.mean(axis=1, keepdims=True)
    if scaled:
        found = found / (totals.std(axis=1, ddof=1, keepdims=True) + 1e-4)
    return found.flatten()


def test_advantages_are_by_group(shared):
    found = shared.batch["advantages"].numpy()
    assert found == pytest.approx(of_group(shared, scaled=True), abs=1e-5)
    assert found.reshape(2, 4).sum(1) == pytest.approx([0, 0], abs=1e-5)
    assert np.abs(found).max() > 0.3


def test_grpo_is_a_mean_over_conversations_of_means_over_tokens(tmp_path):
    dealt = Dealt(tmp_path, "grpo")
    rows, advantages = drifted(dealt), of_group(dealt, scaled=True)
    losses = [clipped(np.exp(new - old), a).mean() for (new, old), a in zip(rows, advantages, strict=True)]
    assert dealt.loss().item() == pytest.approx(np.mean(losses), abs=1e-5)
    unclipped = [-(np.exp(new - old) * a).mean() for (new, old), a in zip(rows, advantages, strict=True)]
    assert abs(np.mean(losses) - np.mean(unclipped)) > 1e-3


def test_gspo_has_one_ratio_a_conversation(tmp_path):
    dealt = Dealt(tmp_path, "gspo")
    rows, advantages = drifted(dealt, 2.0), of_group(dealt, scaled=True)
    ratios = np.array([math.exp(np.sum(new - old) / len(new)) for new, old in rows])
    assert (np.abs(ratios - 1) > 0.2).any()
    assert (np.abs(ratios - 1) < 0.2).any()
    assert dealt.loss().item() == pytest.approx(clipped(ratios, advantages).mean(), abs=1e-5)


def test_dr_grpo_divides_by_constants(tmp_path):
    """Neither by a group's spread nor by a conversation's length, but by the most tokens of an answer."""
    dealt = Dealt(tmp_path, "dr_grpo")
    rows, advantages = drifted(dealt), of_group(dealt, scaled=False)
    sums = [clipped(np.exp(new - old), a).sum() for (new, old), a in zip(rows, advantages, strict=True)]
    assert dealt.loss().item() == pytest.approx(sum(sums) / (8 * 40), abs=1e-5)


@pytest.mark.parametrize(("name", "scaled"), [("dapo", True), ("rloo", False)])
def test_dapo_and_rloo_are_means_over_all_tokens(tmp_path, name, scaled):
    dealt = Dealt(tmp_path, name, clip_ratio=(0.2, 0.28))
    rows, advantages = drifted(dealt), of_group(dealt, scaled)
    sums = [clipped(np.exp(new - old), a, high=0.28).sum() for (new, old), a in zip(rows, advantages, strict=True)]
    assert dealt.loss().item() == pytest.approx(sum(sums) / sum(len(new) for new, _ in rows), abs=1e-5)


def test_rloo_is_the_leave_one_out_baseline_a_little_shortened(tmp_path):
    dealt = Dealt(tmp_path, "rloo")
    totals = [episode.total for episode in dealt.episodes]
    for number, found in enumerate(dealt.batch["advantages"].tolist()):
        group = totals[number // 4 * 4 : number // 4 * 4 + 4]
        others = (sum(group) - totals[number]) / 3
        assert found == pytest.approx((totals[number] - others) * 3 / 4, abs=1e-5)


def test_the_divergence_from_the_model_at_the_start_is_added(tmp_path):
    dealt = Dealt(tmp_path, "dapo", beta=0.5)
    with torch.no_grad():
        before = [by_hand(dealt.model, episode) for episode in dealt.episodes]
        for weight in dealt.model.parameters():
            weight.mul_(0.97)
        after = [by_hand(dealt.model, episode) for episode in dealt.episodes]
    gaps = torch.cat(before).double() - torch.cat(after).double()
    divergence = (gaps.exp() - gaps - 1).mean().item()
    advantages = of_group(dealt, scaled=True)
    counts = [sum(episode.sampled) for episode in dealt.episodes]
    wanted = -(advantages * counts).sum() / sum(counts) + 0.5 * divergence
    assert divergence > 1e-3
    assert dealt.loss().item() == pytest.approx(wanted, abs=1e-4)


def test_credit_by_turn_as_a_sum_on_paper():
    """Two groups of two.

    Returns from each turn on: 1.0, 1.0 beside 0.4, 0.5, 0.7 in the first group; 0 beside 0 in the second. Means by
    turn: 0.7, 0.75, 0.7 (only one is so long). Differences: 0.3, 0.25 and -0.3, -0.25, 0; 0 and 0. Their spread, over
    all seven: sqrt(2 * (0.09 + 0.0625) / 7).
    """
    episodes = [
        Episode("", rewards=[0.0, 1.0], turns=[0, 0, 1, 1, 1]),
        Episode("", rewards=[-0.1, -0.2, 0.7], turns=[0, 1, 2]),
        Episode("", rewards=[0.0], turns=[0]),
        Episode("", rewards=[0.0], turns=[0, 1]),  # its second answer was cut: it earned nothing
    ]
    spread = math.sqrt(2 * (0.09 + 0.0625) / 7) + 1e-4
    wanted = [[0.3, 0.3, 0.25, 0.25, 0.25], [-0.3, -0.25, 0.0], [0.0], [0.0, 0.0]]
    for found, row in zip(credit(episodes, 2), wanted, strict=True):
        assert found == pytest.approx([each / spread for each in row])


def test_turns_are_credited_token_by_token(tmp_path):
    dealt = lively(tmp_path, "grpo_turns")
    credited = credit(dealt.episodes, 4)
    found = dealt.batch["advantages"]
    assert found.shape == dealt.batch["completion_ids"].shape
    assert any(len({*row}) > 1 for row in credited)  # not only conversations are told apart
    for row, wanted in zip(found.tolist(), credited, strict=True):
        assert row == pytest.approx([*wanted, *[0.0] * (len(row) - len(wanted))])
    rows = drifted(dealt)
    total = 0.0
    for (new, old), wanted, episode in zip(rows, credited, dealt.episodes, strict=True):
        own = np.array([each for each, sampled in zip(wanted, episode.sampled, strict=True) if sampled])
        total += clipped(np.exp(new - old), own).sum()
    assert dealt.loss().item() == pytest.approx(total / sum(len(new) for new, _ in rows), abs=1e-5)
    assert len(dealt.played) == 2  # those that others part from are held first, and not trained on
    assert len(dealt.played[0]) == 2


def test_credit_stays_with_its_conversation_where_they_are_shuffled(tmp_path):
    """TRL shuffles the rows of an update and cuts them into passes: advantages go with their ids."""
    dealt = Dealt(tmp_path, "grpo_turns", micro=4)
    dealt.trl._step = 0
    rows = [dealt.trl.train_dataset[number // 4] for number in range(8)]
    seen = [dealt.trl._prepare_inputs(rows)]
    dealt.trl._step = 1
    seen.append(dealt.trl._prepare_inputs(rows))
    wanted = dict.fromkeys(tuple(episode.completion_ids) for episode in dealt.episodes)
    for episode, row in zip(dealt.episodes, credit(dealt.episodes, 4), strict=True):
        wanted[tuple(episode.completion_ids)] = [each if there else 0 for each, there in zip(row, row, strict=True)]
    count = 0
    for part in seen:
        assert len(part["completion_ids"]) == 4
        for ids, there, advantages in zip(
            part["completion_ids"], part["completion_mask"].bool(), part["advantages"], strict=True
        ):
            assert advantages[there].tolist() == pytest.approx(wanted[tuple(ids[there].tolist())])
            count += 1
    assert count == 8


@pytest.mark.parametrize("short", ["sampled", "logprobs", "turns"])
def test_a_mask_shorter_than_what_it_masks_is_refused(short):
    """TRL would fill it up with ones, and train what the customer said."""
    episode = Episode(
        "",
        [1, 2],
        [3, 4, 5],
        sampled=[True, False, True],
        logprobs=[-1.0, 0.0, -1.0],
        turns=[0, 1, 1],
        rewards=[1.0],
    )
    assert through_trl.columns([episode])["env_mask"] == [[1, 0, 1]]
    getattr(episode, short).pop()
    with pytest.raises(AssertionError):
        through_trl.columns([episode])


def test_a_completion_of_nothing_is_refused():
    with pytest.raises(AssertionError):
        through_trl.columns([Episode("", [1, 2])])


def test_what_cannot_be_dealt_is_told_before_anything_is_held(tmp_path):
    model = saved(ECHO, tmp_path / "model")
    for config, match in (
        ({"batch": 10}, r"batch=10 cannot be dealt .* groups of 8"),
        ({"batch": 16, "micro": 5}, r"batch=16 cannot be dealt to 1 processes in passes of micro=5"),
        ({"model": "reference"}, r"never earns a reward: train it with 'sft' first"),
        ({"model": ""}, r"train it with 'sft' first"),
    ):
        made = trainers.make("grpo", ECHO, output=tmp_path / "run", **{"model": model, "tested": 0, **config})
        with pytest.raises(BadArgument, match=match):
            made.train()


def test_processes_share_a_batch_out_by_groups(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    made = trainers.make("grpo", ECHO, model=saved(ECHO, tmp_path / "model"), output=tmp_path / "run", batch=48)
    assert made.dealt(8) == (16, 1)
    with pytest.raises(BadArgument, match="3 processes in passes of micro=16 with groups of 12 kept together"):
        made.dealt(12)


def test_single_turns_are_conversations_of_one_turn(tmp_path):
    model = saved(TRIAGE, tmp_path / "model")
    made = trainers.make(
        "grpo", TRIAGE, model=model, output=tmp_path / "run", env={"scenes": scenes(TRIAGE)}, batch=64, group=16,
        steps=10, max_new_tokens=24, tested=0, learning_rate=3e-4,
    )  # fmt: skip
    made.train()
    lines = made.folder.metrics()
    assert {line["turns"] for line in lines} == {1.0}
    rewards = [line["reward"] for line in lines]
    assert np.mean(rewards[-4:]) > np.mean(rewards[:2]) + 0.05
    assert made.arguments["prompt"] == BARE["prompt"]


def test_a_dry_run_shows_the_settings_of_what_cannot_be_trained_yet():
    """Who asks how a trainer is told where its model is has not told it."""
    result = CliRunner().invoke(app, ["train", "grpo", "--env", "StateSet/Echo-v0", "--dry-run"])
    assert result.exit_code != 0
    assert "Conversations that start from one snapshot" in " ".join(result.output.replace("│", " ").split())
