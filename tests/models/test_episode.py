"""Episodes hold exactly what was shown and sampled: ids, mask, log-probabilities, turns and rewards."""

from types import SimpleNamespace

import pytest
import torch

from stateset_gym.envs.errors import BadArgument
from stateset_gym.envs.parse import Malformed, Parser
from stateset_gym.policies.local.prompt import Prompt
from stateset_gym.policies.local.sampler import Sampler
from stateset_gym.policies.runs import Setting
from stateset_gym.rewards.errors import InfrastructureError
from stateset_gym.trainers import settings
from stateset_gym.trainers.demonstrations import demonstrations
from stateset_gym.trainers.episode import Episode, Stage, Start
from stateset_gym.trainers.grpo import GRPOConfig, Rollouts

from .trained import BARE, ECHO, SERVICE, TRIAGE, scenes, tokenizer, trained, untrained

CLOSE = 1e-4
HARD = {**BARE, "difficulty": "hard"}
ROUNDS = [f"Echo-v0/train/hard/{number:06d}" for number in range(2)]
"""Conversations of three turns."""


class Played:
    """Conversations in groups of 4, and all that the sampler said, as it said it."""

    def __init__(self, env_id, loaded, count=8, arguments=BARE, names=None, kept=None, **options):
        self.options = {"temperature": 1.0, "max_new_tokens": 40, **options}
        self.stage = Stage(env_id, arguments, loaded, count, **self.options)
        self.loaded, self.prompt = loaded, Prompt(loaded.tokenizer)
        names = names or scenes(env_id, count)
        self.starts = [Start(self.stage.opening(names[number // 4]), number) for number in range(count)]
        self.episodes, self.said = recorded(self.stage, self.starts, kept)

    def transcript(self, slot):
        return self.stage.envs[slot].observe()["messages"]

    def answers(self, slot):
        return [message["content"] for message in self.transcript(slot) if message["role"] == "assistant"]


def recorded(stage, starts, kept=None, first=0):
    """Hold conversations; back come the episodes, and of each one the ids that the sampler appended, by turn."""
    said = {}
    with pytest.MonkeyPatch.context() as patch:
        generate = Sampler.generate

        def heard(self, rows, most):
            generate(self, rows, most)
            for row in rows:
                said.setdefault(id(row), []).append(list(row.said))

        patch.setattr(Sampler, "generate", heard)
        episodes = stage.play(starts, kept, first)
    slots = range(first, first + len(starts))
    return episodes, [said[id(stage.policy._talk(slot).row)] for slot in slots]


def whole(episode):
    return [*episode.prompt_ids, *episode.completion_ids]


def own(episode):
    """The ids that the agent sampled, by turn."""
    turns = [[] for _ in range(max(episode.turns) + 1)]
    for number, sampled, turn in zip(episode.completion_ids, episode.sampled, episode.turns, strict=True):
        if sampled:
            turns[turn].append(number)
    return turns


def anew(model, episode, temperature=1.0):
    """How far the log-probabilities are from those of one pass over all ids, with nothing kept."""
    with torch.no_grad():
        scores = (model(input_ids=torch.tensor([whole(episode)])).logits[0] / temperature).log_softmax(-1)
    first = len(episode.prompt_ids)
    found = [
        (scores[first + at - 1, number].item() - episode.logprobs[at])
        for at, number in enumerate(episode.completion_ids)
        if episode.sampled[at]
    ]
    assert found
    return max(map(abs, found))


@pytest.fixture(scope="module")
def service():
    """Conversations with tools, some of which succeed."""
    played = Played(SERVICE, trained(SERVICE))
    assert not any(episode.cut for episode in played.episodes)
    return played


@pytest.fixture(scope="module")
def babble():
    """Three turns each of whatever comes, cut at 24 tokens."""
    return Played(ECHO, untrained(ECHO), arguments=HARD, names=ROUNDS, max_new_tokens=24)


@pytest.fixture(params=["service", "babble"])
def played(request):
    return request.getfixturevalue(request.param)


def test_the_ids_are_the_transcript_in_the_chat_template(played):
    for slot, episode in enumerate(played.episodes):
        messages = played.transcript(slot)
        last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
        text = played.prompt.text(messages[: last + 1], asked=False)
        told = played.prompt.words(whole(episode))
        end = played.loaded.tokenizer.eos_token  # the last answer may have been cut before it
        assert told.removesuffix(end) == text.removesuffix(end)
        assert told.startswith(played.prompt.words(episode.prompt_ids))


def test_what_is_masked_in_is_what_was_sampled_and_nothing_else(played):
    for slot, episode in enumerate(played.episodes):
        assert own(episode) == played.said[slot]
        assert len(played.said[slot]) == len(played.answers(slot)) == len(episode.rewards)
        assert {len(episode.completion_ids), len(episode.sampled), len(episode.logprobs)} == {len(episode.turns)}
        assert not any(score for score, sampled in zip(episode.logprobs, episode.sampled, strict=True) if not sampled)
        assert episode.sampled[0]
        assert episode.prompt_ids[-1] == played.loaded.tokenizer.convert_tokens_to_ids("<|assistant|>")


def test_the_turn_of_a_token_is_that_of_the_answer_it_leads_to(played):
    end = played.loaded.tokenizer.eos_token
    for slot, episode in enumerate(played.episodes):
        answers = played.answers(slot)
        said = [played.prompt.words(ids).removesuffix(end) for ids in own(episode)]
        assert said == answers
        assert episode.turns == sorted(episode.turns)
        shown = [number for number, sampled in zip(episode.turns, episode.sampled, strict=True) if not sampled]
        assert {*shown} == {*range(1, len(answers))}
        for turn in range(1, len(answers)):
            told = played.prompt.words(
                [
                    number
                    for number, sampled, of in zip(episode.completion_ids, episode.sampled, episode.turns, strict=True)
                    if of == turn and not sampled
                ]
            )
            assert told.removeprefix(end).startswith("<|user|>")
            assert told.endswith("<|assistant|>")
            assert played.transcript(slot)[2 * turn]["content"] in told


def test_log_probabilities_are_those_of_reading_all_anew(played):
    assert max(anew(played.loaded.model, episode) for episode in played.episodes) < CLOSE


def test_log_probabilities_are_those_at_the_temperature():
    warm = Played(SERVICE, trained(SERVICE), count=4, temperature=1.5)
    assert max(anew(warm.loaded.model, episode, 1.5) for episode in warm.episodes) < CLOSE
    assert max(anew(warm.loaded.model, episode, 1.0) for episode in warm.episodes) > 100 * CLOSE


def test_nothing_is_tokenised_again_where_that_would_differ(babble):
    """Whatever comes is hardly ever split as the tokenizer would split it."""
    differ = 0
    for episode in babble.episodes:
        ids = whole(episode)
        again = babble.prompt.ids(babble.prompt.words(ids))
        differ += again != ids
        if again != ids:
            model = babble.loaded.model
            assert anew(model, episode) < CLOSE
    assert differ == len(babble.episodes)


def test_a_split_of_ones_own_is_kept():
    """A model that says a word letter by letter, though the tokenizer has the word as one token."""
    loaded = trained(ECHO)
    words, prompt = loaded.tokenizer, Prompt(loaded.tokenizer)
    text = '{"type":"say","word":"amber"}'
    letters = [*words.convert_tokens_to_ids([*text]), words.eos_token_id]
    assert len(letters) > 2 * len(prompt.ids(text))
    said = iter([letters] * 3)

    class Spelling(Sampler):
        def generate(self, rows, most):
            for row in rows:
                row.said, row.logprobs, row.sampled = [], [], []
                for number in next(said):
                    row.add(number, -1.0, True)

    stage = Stage(ECHO, HARD, loaded, 1, max_new_tokens=40)
    stage.policy.sampler.__class__ = Spelling
    (episode,) = stage.play([Start(stage.opening({"words": ["amber"] * 3, "asks": ["say"] * 3}), 0)])
    assert own(episode) == [letters] * 3
    assert episode.success
    assert episode.total == 1
    assert prompt.ids(prompt.words(whole(episode))) != whole(episode)


@pytest.mark.parametrize("env_id", [ECHO, TRIAGE, SERVICE])
def test_rewards_are_those_of_the_same_answers_in_another_environment(env_id):
    played = Played(env_id, trained(env_id), count=8)
    env = Setting(env_id, "", BARE).env()
    assert any(episode.success for episode in played.episodes)
    assert not all(episode.success for episode in played.episodes)
    for slot, (episode, start) in enumerate(zip(played.episodes, played.starts, strict=True)):
        _, info = env.restore(start.snapshot)
        assert episode.scene == info["scene"]
        rewards, malformed, refused = [], 0, 0
        for answer in played.answers(slot):
            _, reward, terminated, truncated, info = env.step(answer)
            rewards.append(reward)
            malformed += info["malformed"] != ""
            refused += info["refused"] != ""
        assert terminated or truncated
        assert episode.rewards == rewards
        assert episode.total == pytest.approx(sum(rewards))
        assert (episode.malformed, episode.refused) == (malformed, refused)
        assert episode.success == info["is_success"]


def test_the_return_from_a_turn_on():
    episode = Episode("", rewards=[-0.05, 0.25, -0.1, 0.9])
    assert episode.total == pytest.approx(1.0)
    assert episode.to_go == pytest.approx([1.0, 1.05, 0.8, 0.9])
    assert Episode("").to_go == []


def rollouts(stage, by_turn=False, **config):
    """What TRL calls, with groups of 4, and a trainer of one process at a step."""
    made = Rollouts(stage, settings.build(GRPOConfig, {"group": 4, **config}, "a test"), by_turn)
    accelerator = SimpleNamespace(process_index=0, autocast=lambda: torch.autocast("cpu", enabled=False))
    return made, SimpleNamespace(accelerator=accelerator, state=SimpleNamespace(global_step=3))


def heard(stage, monkeypatch):
    """The starts that a stage is given, and what became of them."""
    calls, play = [], stage.play

    def listen(starts, *rest):
        calls.append((list(starts), play(starts, *rest)))
        return calls[-1][1]

    monkeypatch.setattr(stage, "play", listen)
    return calls


def test_a_group_starts_from_one_snapshot_of_its_scene(monkeypatch):
    stage = Stage(SERVICE, BARE, trained(SERVICE), 8, temperature=1.0, max_new_tokens=40)
    calls = heard(stage, monkeypatch)
    made, trainer = rollouts(stage)
    names = scenes(SERVICE, 2)
    found = made([*[names[0]] * 4, *[names[1]] * 4], trainer)
    ((starts, episodes),) = calls
    for number, name in enumerate(names):
        group = slice(4 * number, 4 * number + 4)
        assert len({id(start.snapshot) for start in starts[group]}) == 1
        assert {start.snapshot.turn.number for start in starts[group]} == {0}
        assert {episode.scene for episode in episodes[group]} == {name}
        assert len({tuple(ids) for ids in found["prompt_ids"][group]}) == 1
    assert found["prompt_ids"][0] != found["prompt_ids"][4]
    assert len({start.seed for start in starts}) == 8
    assert len({tuple(ids) for ids in found["completion_ids"]}) > 2
    assert found["env_mask"] == [[int(one) for one in episode.sampled] for episode in episodes]
    assert found["total"] == [episode.total for episode in episodes]
    assert found["held_tokens"] == found["sampled_tokens"] == [*map(sum, found["env_mask"])]


def test_what_is_drawn_follows_from_the_seed_the_step_and_the_row():
    def drawn(seed, step=3, first=0):
        stage = Stage(ECHO, BARE, untrained(ECHO), 4, temperature=1.0, max_new_tokens=24)
        made, trainer = rollouts(stage, seed=seed)
        trainer.state.global_step, trainer.accelerator.process_index = step, first
        return made(scenes(ECHO, 1) * 4, trainer)["completion_ids"]

    once = drawn(0)
    assert drawn(0) == once
    assert len({str(each) for each in (once, drawn(1), drawn(0, step=4), drawn(0, first=1))}) == 4


def branched(monkeypatch, loaded, arguments=BARE, env_id=SERVICE, **options):
    stage = Stage(env_id, arguments, loaded, 8 + 2, **{"temperature": 1.0, "max_new_tokens": 40, **options})
    calls = heard(stage, monkeypatch)
    made, trainer = rollouts(stage, by_turn=True)
    names = scenes(env_id, 2) if env_id == SERVICE else ROUNDS
    made([*[names[0]] * 4, *[names[1]] * 4], trainer)
    return made, calls


@pytest.mark.parametrize("env_id", [SERVICE, ECHO])
def test_branches_go_on_from_the_very_ids_of_their_trunk(monkeypatch, env_id):
    loaded = trained(SERVICE) if env_id == SERVICE else untrained(ECHO)
    arguments = BARE if env_id == SERVICE else HARD
    made, ((_, trunks), (starts, branches)) = branched(monkeypatch, loaded, arguments, env_id)
    prompt = Prompt(loaded.tokenizer)
    assert any(start.snapshot.turn.number for start in starts)
    for number, (start, branch) in enumerate(zip(starts, branches, strict=True)):
        trunk, turn = trunks[number // 4], start.snapshot.turn.number
        assert start.snapshot is starts[number // 4 * 4].snapshot
        first = next(at for at, of in enumerate(trunk.turns) if of == turn and trunk.sampled[at])
        assert branch.prompt_ids == [*trunk.prompt_ids, *trunk.completion_ids[:first]]
        assert branch.turns[0] == 0
        assert max(branch.turns) == len(branch.rewards) - 1
        assert branch.sampled[0]
        assert anew(loaded.model, branch) < CLOSE
        if env_id == ECHO and turn:
            assert prompt.ids(prompt.words(branch.prompt_ids)) != branch.prompt_ids
    assert [len(row) for row in made.credited] == [len(branch.completion_ids) for branch in branches]


def test_a_branch_is_what_it_would_be_with_nothing_kept(monkeypatch):
    kept, read = (branched(monkeypatch, trained(SERVICE), cache=cache)[1][1][1] for cache in (True, False))
    for one, other in zip(kept, read, strict=True):
        assert one.prompt_ids == other.prompt_ids
        assert one.completion_ids == other.completion_ids
        assert one.logprobs == pytest.approx(other.logprobs, abs=CLOSE)
        assert one.rewards == other.rewards


def test_a_branch_reads_nothing_again():
    """The keys and values of the trunk are taken over: what the model is given is what is new."""
    loaded, names = trained(SERVICE), scenes(SERVICE, 1)
    stage = Stage(SERVICE, BARE, loaded, 3, temperature=1.0, max_new_tokens=40)
    kept = [[]]
    (trunk,) = stage.play([Start(stage.opening(names[0]), 1)], kept, 2)
    snapshot = kept[0][-1]
    read = []
    hook = loaded.model.register_forward_pre_hook(
        lambda model, args, given: read.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    branches = stage.play([Start(snapshot, seed, 2) for seed in (5, 6)])
    hook.remove()
    before = next(at for at, turn in enumerate(trunk.turns) if turn == snapshot.turn.number and not trunk.sampled[at])
    new = len(branches[0].prompt_ids) - len(trunk.prompt_ids) - before
    assert 0 < new < len(branches[0].prompt_ids) / 3
    rows, width = read[0]
    assert rows == 2
    assert width <= new


def test_what_a_grammar_forces_is_none_of_the_agents():
    """A model that would ramble in the string is made to close it."""
    loaded = untrained(ECHO)
    kind = type(Setting(ECHO, "", {}).env())
    played = Played(ECHO, loaded, arguments=HARD, names=ROUNDS, constrained=True, max_new_tokens=28)
    forced = 0
    for slot, episode in enumerate(played.episodes):
        assert not any(isinstance(Parser(kind.parts.actions).parse(each), Malformed) for each in played.answers(slot))
        for turn, said in enumerate(played.said[slot]):
            marks = [
                sampled
                for number, sampled, of in zip(episode.completion_ids, episode.sampled, episode.turns, strict=True)
                if of == turn
            ][-len(said) :]
            chosen = [number for number, mark in zip(said, marks, strict=True) if mark]
            assert own(episode)[turn] == chosen
            forced += len(said) - len(chosen)
        masked = [score for score, mark in zip(episode.logprobs, episode.sampled, strict=True) if not mark]
        assert not any(masked)
        assert anew(loaded.model, episode) < CLOSE
    assert forced


def test_a_conversation_that_outgrows_the_context_is_cut():
    loaded = untrained(ECHO, context=56)
    stage = Stage(ECHO, HARD, loaded, 8, temperature=1.0, max_new_tokens=24)
    episodes = stage.play([Start(stage.opening(ROUNDS[number // 4]), number) for number in range(8)])
    cut = [episode for episode in episodes if episode.cut]
    assert cut
    for episode in cut:
        assert 1 <= len(episode.rewards) < 3
        assert not episode.success
        assert episode.completion_ids
        assert {len(episode.completion_ids), len(episode.sampled), len(episode.logprobs)} == {len(episode.turns)}
        assert sum(episode.sampled) >= len(episode.rewards)
    assert all(len(whole(episode)) == 56 or not episode.sampled[-1] for episode in cut)


def test_a_context_without_room_for_a_single_answer_is_an_error():
    stage = Stage(ECHO, HARD, untrained(ECHO, context=4), 1, temperature=1.0, max_new_tokens=24)
    with pytest.raises(InfrastructureError, match="has outgrown the model's context of 4"):
        stage.play([Start(stage.opening(ROUNDS[0]), 0)])


def test_more_conversations_than_a_stage_holds_are_refused():
    stage = Stage(ECHO, BARE, trained(ECHO), 2)
    opening = stage.opening(scenes(ECHO, 1)[0])
    with pytest.raises(BadArgument, match="3 conversations at once: this stage holds 2"):
        stage.play([Start(opening, seed) for seed in range(3)])
    with pytest.raises(BadArgument, match="3 conversations at once: this stage holds 2"):
        stage.play([Start(opening, 0)], first=2)


def test_a_renewed_stage_knows_the_model_as_it_is_now():
    """What was kept of the model before an update is of no use after it."""
    loaded = trained(SERVICE)
    stage = Stage(SERVICE, BARE, loaded, 2, temperature=1.0, max_new_tokens=40)
    starts = [Start(stage.opening(name), 1) for name in scenes(SERVICE, 2)]
    before = stage.play(starts)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight.mul_(0.9)
    stage.renew()
    after = stage.play(starts)
    assert [episode.logprobs for episode in before] != [episode.logprobs for episode in after]
    assert max(anew(loaded.model, episode) for episode in after) < CLOSE


def test_the_expert_as_an_episode_is_as_the_expert_as_a_demonstration():
    """Both make the same ids of one transcript, and mask the same ones: only who speaks differs."""
    words = tokenizer(SERVICE)
    (name,) = scenes(SERVICE, 1)
    (shown,) = demonstrations(SERVICE, BARE, Prompt(words), [name])
    loaded = trained(SERVICE)
    stage = Stage(SERVICE, BARE, loaded, 1, temperature=0.0, max_new_tokens=40)
    (episode,) = stage.play([Start(stage.opening(name), 0)])
    assert episode.success
    assert whole(episode) == shown.ids
    assert [*[False] * len(episode.prompt_ids), *episode.sampled] == shown.counted
