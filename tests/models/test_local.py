"""Local language models: what is kept across turns changes no action, and what is constrained is always one."""

import asyncio
import functools

import gymnasium as gym
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import stateset_gym  # noqa: F401
from stateset_gym import policies
from stateset_gym.envs.errors import BadArgument
from stateset_gym.envs.parse import Malformed, Parser
from stateset_gym.policies.base import Usage
from stateset_gym.policies.local import PLAIN, Loaded, Local, cache
from stateset_gym.policies.local.choose import Chance, choose, logprobs
from stateset_gym.policies.local.grammar import Grammar
from stateset_gym.policies.local.load import _device as device_of
from stateset_gym.policies.local.schema import longest, shortest
from stateset_gym.policies.rollout import Job, rollout, rollouts
from stateset_gym.rewards.errors import InfrastructureError

SERVICE, TRIAGE, ECHO = IDS = [f"StateSet/{name}-v0" for name in ("CustomerService", "TicketTriage", "Echo")]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETFUL = CHATML.replace("{{ m.content }}", "{{ m.content if loop.last else m.content | upper | trim }}")
"""A template that shows what was said last as it was said, and all that came before it in another way."""
SYSTEMLESS = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
TIE = 1e-4


def kind(env_id):
    return type(gym.make(env_id).unwrapped)


@functools.cache
def texts():
    """What experts and customers say to each other."""
    found = []
    for env_id in IDS:
        env = gym.make(env_id)
        expert = policies.make("expert", env)
        for seed in range(20):
            found += [message["content"] for message in rollout(expert, env, seed=seed).messages]
    return found


def tokenizer(size=1024, template=CHATML, end="<|im_end|>"):
    """A byte-level BPE tokenizer, trained in a blink on the transcripts."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    special = ["<pad>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator(texts(), trainer)
    whole = transformers.PreTrainedTokenizerFast(tokenizer_object=bare, eos_token=end, pad_token="<pad>")
    whole.chat_template = template
    return whole


SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


CONFIGS = {"Gemma3": "Gemma3Text"}


def causal(name="Llama", seed=0, words=None, **sizes):
    """A causal language model with random weights."""
    torch.manual_seed(seed)
    config = getattr(transformers, f"{CONFIGS.get(name, name)}Config")(
        vocab_size=len(words or tokens()), **{**SIZES, **sizes}
    )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@functools.cache
def tokens():
    return tokenizer()


@functools.cache
def loaded():
    return Loaded(causal(), tokens())


def scenes(env_id, count, difficulty="easy"):
    return [f"{env_id.partition('/')[2]}/train/{difficulty}/{number:06d}" for number in range(count)]


def play(policy, env_id, count, parallel, **arguments):
    envs = [gym.make(env_id, **arguments).unwrapped for _ in range(parallel)]
    jobs = [Job(scene, 0, number) for number, scene in enumerate(scenes(env_id, count))]
    return sorted(rollouts(policy, envs, jobs), key=lambda episode: episode.number)


def margin(model, talk):
    """By how much the sampled tokens fall behind the likeliest, with the whole read anew and nothing kept."""
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([talk.ids])).logits[0].log_softmax(-1)
    behind = [
        max(
            (scores[at - 1].max() - scores[at - 1, token]).item(), abs(scores[at - 1, token].item() - talk.logprobs[at])
        )
        for at, token in enumerate(talk.ids)
        if talk.sampled[at]
    ]
    assert behind
    return max(behind)


def chat(*contents):
    """A transcript of the system, and of the user and the agent in turn."""
    roles = ["system", *(("user", "assistant")[n % 2] for n in range(len(contents) - 1))]
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, contents, strict=True)]}


@pytest.mark.parametrize(("prompt", "count", "parallel"), [("none", 24, 6), ("full", 5, 2)])
def test_the_cache_changes_no_action_while_slots_are_filled_again(prompt, count, parallel):
    options = {"max_turns": 3, "prompt": prompt}
    kept, anew = (
        play(Local(kind(SERVICE), loaded(), cache=cache, max_new_tokens=12), SERVICE, count, parallel, **options)
        for cache in (True, False)
    )
    assert [episode.actions for episode in kept] == [episode.actions for episode in anew]
    assert [episode.usage for episode in kept] == [episode.usage for episode in anew]
    assert {episode.turns for episode in kept} == {3}


def test_what_is_sampled_is_the_likeliest_when_all_is_read_anew():
    policy = Local(kind(SERVICE), loaded(), max_new_tokens=12)
    episodes = play(policy, SERVICE, count=8, parallel=8, max_turns=4)
    for slot, episode in enumerate(episodes):
        talk = policy.tokens(slot)
        assert margin(policy.model, talk) < TIE
        assert sum(talk.sampled) == episode.usage.tokens_out
        assert len(talk.ids) == episode.usage.tokens_in + episode.usage.tokens_out
        assert episode.usage.calls == 4


turns = st.lists(
    st.tuples(st.lists(st.booleans(), min_size=3, max_size=3), st.booleans(), st.text("ab \n{}é", max_size=30)),
    min_size=1,
    max_size=6,
)


@given(turns)
@settings(max_examples=25)
def test_any_order_of_turns_reads_as_if_anew(order):
    policy = Local(kind(ECHO), loaded(), max_new_tokens=6)
    said = [["Be brief.", "Hello."] for _ in range(3)]
    for awake, begins, text in order:
        if begins:
            slot = len(text) % 3
            said[slot] = ["Be brief.", text]
            policy.begin(slot)
        answers = policy.act_batch([chat(*said[n]) if awake[n] else None for n in range(3)], [None] * 3)
        for slot, answer in enumerate(answers):
            assert (answer is not None) == awake[slot]
            if awake[slot]:
                assert margin(policy.model, policy.tokens(slot)) < TIE
                said[slot] += [answer, f"{text} and then?"]


ARCHITECTURES = {
    "Llama": {},
    "Qwen3": {"sliding_window": None},
    "Mistral": {"sliding_window": 24},
    "Gemma3": {
        "sliding_window": 24,
        "layer_types": ["sliding_attention", "full_attention"],
        "query_pre_attn_scalar": 8,
    },
    "Gemma2": {"sliding_window": 24, "query_pre_attn_scalar": 8, "attn_implementation": "eager"},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 4096, "layer_norm_epsilon": 1e-5},
    "Phi3": {},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_model_of_any_make_says_what_it_says_to_generate(name):
    model = causal(name, **ARCHITECTURES[name])
    policy = Local(kind(ECHO), Loaded(model, tokens()), max_new_tokens=10)
    said = [["Be brief.", text] for text in ("Hello there.", "Say amber, and then the next word of the day, please.")]
    for _ in range(3):
        shown = [chat(*each) for each in said]
        answers = policy.act_batch(shown, [None] * 2)
        for slot, answer in enumerate(answers):
            talk = policy.tokens(slot)
            prompt = talk.ids[: -len(policy._talk(slot).row.said)]
            whole = model.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=10, do_sample=False
            )
            assert whole[0].tolist() == talk.ids or margin(model, talk) < TIE
            said[slot] += [answer, "Go on, more of that."]


def test_a_batch_of_one_says_what_a_batch_of_many_says():
    arguments = {"prompt": "none", "max_turns": 2}
    for options in ({}, {"temperature": 0.8, "top_k": 50, "top_p": 0.9}, {"constrained": True, "temperature": 1.0}):
        many, one = (
            play(Local(kind(SERVICE), loaded(), max_new_tokens=40, **options), SERVICE, 6, parallel, **arguments)
            for parallel in (6, 1)
        )
        assert [episode.actions for episode in many] == [episode.actions for episode in one]


def test_a_policy_of_small_batches_answers_many_slots():
    small, large = (Local(kind(ECHO), loaded(), max_new_tokens=5, batch=batch) for batch in (2, 64))
    shown = [chat("Be brief.", f"Say {number}.") for number in range(5)]
    assert small.act_batch(shown, [None] * 5) == large.act_batch(shown, [None] * 5)
    assert (small.parallel, large.parallel) == (2, 64)


def test_chance_is_the_seeds():
    def action(reset, **options):
        policy = Local(kind(ECHO), loaded(), temperature=1.0, max_new_tokens=12, **options)
        policy.reset(reset)
        return policy.act(chat("Be brief.", "Say amber."), ())

    assert action(1) == action(1)
    assert len({action(reset) for reset in range(5)}) == 5
    assert action(1, seed=7) != action(1)
    assert len({action(reset, top_k=1) for reset in range(5)}) == 1
    assert len({action(reset, top_p=1e-9) for reset in range(5)}) == 1


def test_what_may_be_drawn_is_cut_by_rank_and_by_share():
    odds = torch.tensor([[0.15, 0.5, 0.05, 0.3]]).log()

    def drawn(chance, allowed=None):
        return [choose(logprobs(odds, chance), allowed, [draw / 100], chance).item() for draw in range(100)]

    assert [drawn(Chance(1.0)).count(token) for token in range(4)] == pytest.approx([15, 50, 5, 30], abs=1)
    assert {*drawn(Chance(1.0, top_k=3))} == {0, 1, 3}
    assert {*drawn(Chance(1.0, top_p=0.81))} == {0, 1, 3}
    assert {*drawn(Chance(1.0, top_p=0.79))} == {1, 3}
    assert {*drawn(Chance(1.0, top_p=0.1))} == {1}
    assert {*drawn(Chance(0.0))} == {1}
    assert {*drawn(Chance(0.0), torch.tensor([[True, False, True, True]]))} == {3}
    assert {*drawn(Chance(1.0), torch.tensor([[True, False, True, False]]))} == {0, 2}
    assert logprobs(odds, Chance(2.0)).exp().sum().item() == pytest.approx(1)
    assert drawn(Chance(0.5)).count(1) > 60


@given(st.sampled_from(IDS), st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 3.0]), st.integers(0, 80))
@settings(max_examples=60)
def test_what_is_constrained_is_an_action_whatever_the_weights_and_the_budget(env_id, seed, temperature, more):
    policy = constrained(env_id)
    policy.sampler._chance = policy.sampler._chance._replace(temperature=temperature)
    policy._most = policy._least + more
    policy.begin(0, seed)
    policy.begin(1, seed + 1)
    answers = policy.act_batch([chat("Be brief.", f"Scene {seed + n}.") for n in range(2)], [None] * 2)
    for slot, answer in enumerate(answers):
        assert not isinstance(Parser(policy.kind.parts.actions).parse(answer), Malformed), answer
        assert len(policy._talk(slot).row.said) <= policy._most


@functools.cache
def constrained(env_id):
    policy = Local(kind(env_id), Loaded(causal(initializer_range=1.0), tokens()), constrained=True)
    policy.kind = kind(env_id)
    return policy


def test_what_is_not_constrained_may_be_no_action():
    (episode,) = play(Local(kind(SERVICE), loaded(), max_new_tokens=12), SERVICE, 1, 1, max_turns=2)
    assert episode.malformed == 2


def test_a_token_that_the_budget_forces_counts_as_none_of_the_agents():
    policy = Local(
        kind(ECHO),
        Loaded(causal(initializer_range=1.0), tokens()),
        constrained=True,
        max_new_tokens=40,
        temperature=3.0,
    )
    answers = policy.act_batch([chat("Be brief.", f"Say {slot}.") for slot in range(20)], [None] * 20)
    forced = [not all(policy.tokens(slot).sampled[-len(policy._talk(slot).row.said) :]) for slot in range(20)]
    assert any(forced)
    assert not all(forced)
    assert all(len(policy._talk(slot).row.said) <= 40 for slot in range(20))
    assert all(answer.startswith('{"type":"say","word":"') for answer in answers)


@pytest.mark.parametrize("env_id", IDS)
def test_the_rest_of_an_action_is_never_longer_than_is_kept_free(env_id):
    actions = kind(env_id).parts.actions
    grammar = Grammar(actions.schema, tokens(), len(tokens()), frozenset({2}))
    assert not isinstance(Parser(actions).parse(shortest(actions.schema)), Malformed)
    assert tokens().decode(grammar.shortest) == shortest(actions.schema)
    for each in actions.types:
        for example in each.examples:
            state = grammar.matcher().state
            for token in tokens().encode(actions.encode(example)):
                assert len(grammar.closing(state, 1000)) <= longest(actions.schema)
                assert state.consume_token(token)


def test_a_template_that_rewrites_the_past_is_read_anew_from_there():
    words = tokenizer(template=FORGETFUL)
    policies_ = [Local(kind(ECHO), Loaded(causal(), words), max_new_tokens=8, cache=cache) for cache in (True, False)]
    said = ["Be brief.", "Hello there."]
    for _ in range(3):
        shown = chat(*said)
        one, other = (policy.act(shown, ()) for policy in policies_)
        assert one == other
        talk = policies_[0].tokens()
        said_ = policies_[0]._talk(0).row.said
        assert words.decode(talk.ids[: -len(said_)]) == policies_[0].prompt.text(shown["messages"])
        assert margin(policies_[0].model, talk) < TIE
        said += [one, "go on"]


def test_ids_are_appended_and_never_made_anew():
    policy = Local(kind(ECHO), loaded(), max_new_tokens=8)
    said, before = ["Be brief.", "Hello there."], []
    for _ in range(3):
        said += [policy.act(chat(*said), ()), "go on"]
        talk = policy.tokens()
        assert talk.ids[: len(before)] == before
        assert tokens().decode(talk.ids).startswith(policy.prompt.text(chat(*said[:-2])["messages"]))
        before = talk.ids


def test_templates():
    message = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    plain = Local(kind(ECHO), Loaded(causal(), tokenizer(template=None)))
    assert plain.prompt.text(message) == "<|system|>\nS\n<|user|>\nU\n<|assistant|>\n"
    assert plain.prompt.text([*message, {"role": "assistant", "content": "A"}], False).endswith("A<|im_end|>\n")
    merged = Local(kind(ECHO), loaded(), template=SYSTEMLESS)
    assert merged.prompt.text(message) == "<|im_start|>user\nS\n\nU<|im_end|>\n<|im_start|>assistant\n"
    assert Local(kind(ECHO), loaded(), template="plain").prompt.text(message) == plain.prompt.text(message)
    named = CHATML.replace("assistant\n", "{{ name }}\n")
    policy = Local(kind(ECHO), loaded(), template=named, template_options={"name": "desk"})
    assert policy.prompt.text(message).endswith("<|im_start|>desk\n")
    with pytest.raises(BadArgument, match=r"cannot show a conversation \(never\): give template='plain'"):
        Local(kind(ECHO), loaded(), template="{{ raise_exception('never') }}")


def test_an_answer_stops_where_the_template_ends_a_turn():
    words = tokenizer(end="<pad>")  # the end of the text is not the end of the turn
    policy = Local(kind(ECHO), Loaded(causal(), words))
    assert {words.decode([stop]) for stop in policy.prompt.stops} == {"<pad>", "<|im_end|>"}
    model = causal(initializer_range=0.0)
    with torch.no_grad():
        model.lm_head.bias = torch.nn.Parameter(torch.zeros(len(words)).index_fill(0, torch.tensor(2), 1.0))
    policy = Local(kind(ECHO), Loaded(model, words))
    assert policy.act(chat("Be brief.", "Say amber."), ()) == ""
    assert policy.usage() == Usage(1, policy.usage().tokens_in, 1)
    assert policy.tokens().ids[-1] == 2


def test_slots_that_ask_together_are_answered_together():
    policy, batch = (Local(kind(ECHO), loaded(), max_new_tokens=6) for _ in range(2))
    passes = []
    generate = policy.sampler.generate
    policy.sampler.generate = lambda rows, most: passes.append(len(rows)) or generate(rows, most)
    shown = [chat("Be brief.", f"Say {number}.") for number in range(4)]

    async def ask():
        return await asyncio.gather(*(policy.act_async(each, (), slot) for slot, each in enumerate(shown)))

    assert asyncio.run(ask()) == batch.act_batch(shown, [None] * 4)
    assert passes == [4]


def test_a_conversation_that_outgrows_the_context_is_not_measured():
    model = causal(max_position_embeddings=100)
    policy = Local(kind(ECHO), Loaded(model, tokens()), max_new_tokens=20)
    short, long = chat("Be brief.", "Hi."), chat("Be brief.", "Say amber. " * 60)
    answer, error = policy.act_batch([short, long], [None, None])
    assert isinstance(answer, str)
    assert isinstance(error, InfrastructureError)
    assert not error.fatal
    with pytest.raises(InfrastructureError, match=r"tokens has outgrown the model's context of 100 \(Llama.*max_turns"):
        policy.act(long, ())
    with pytest.raises(InfrastructureError, match="outgrown"):
        asyncio.run(policy.act_async(long, ()))
    cut = Local(kind(ECHO), Loaded(model, tokens()), max_new_tokens=1000)
    assert "of 100 tokens has outgrown" in str(cut.act_batch([short], [None])[0])


def test_episodes_that_are_not_measured_leave_the_others_alone():
    policy = Local(kind(SERVICE), Loaded(causal(max_position_embeddings=1700), tokens()), max_new_tokens=24)
    episodes = play(policy, SERVICE, 6, 3)
    assert {bool(episode.error) for episode in episodes} == {True}
    assert all(episode.turns for episode in episodes)


def test_broken_weights_are_nobodys_mistake():
    model = causal()
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    policy = Local(kind(ECHO), Loaded(model, tokens()))
    (error,) = policy.act_batch([chat("Be brief.", "Hi.")], [None])
    assert isinstance(error, InfrastructureError)
    assert error.fatal
    assert "check its weights" in str(error)


def test_a_model_that_learns_goes_on_learning(tmp_path):
    model = causal()
    policy = Local(kind(ECHO), Loaded(model.train(), tokens()), max_new_tokens=6)
    shown = chat("Be brief.", "Say amber.")
    before = policy.act(shown, ())
    assert model.training
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(-1.5)
    policy.forget()
    policy.reset()
    after = policy.act(shown, ())
    assert before != after
    assert margin(model.eval(), policy.tokens()) < TIE


def test_a_folder_is_a_policy(tmp_path):
    model, words = loaded()
    model.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    policy = policies.make(f"hf:{tmp_path}", ECHO, max_new_tokens=6)
    shown = chat("Be brief.", "Say amber.")
    assert policy.act(shown, ()) == Local(kind(ECHO), loaded(), max_new_tokens=6).act(shown, ())
    assert policy.manner == "batch"
    assert str(policy.model.dtype) == "torch.float32"
    half = policies.make(f"hf:{tmp_path}", ECHO, max_new_tokens=6, dtype="bfloat16")
    assert str(half.model.dtype) == "torch.bfloat16"
    assert isinstance(half.act(shown, ()), str)
    policy.close()


def test_a_folder_that_is_none_says_so(tmp_path):
    with pytest.raises(BadArgument, match=r"hf:nowhere: nowhere is no folder on this machine.*nothing is downloaded"):
        policies.make("hf:nowhere", ECHO)
    with pytest.raises(BadArgument, match=r"has no config\.json"):
        policies.make(f"hf:{tmp_path}", ECHO)
    causal().save_pretrained(tmp_path)
    with pytest.raises(BadArgument, match=r"the folder has no tokenizer: save it .* tokenizer\.save_pretrained"):
        policies.make(f"hf:{tmp_path}", ECHO)
    tokens().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(BadArgument, match=r"the model cannot be read .*model\.save_pretrained"):
        policies.make(f"hf:{tmp_path}", ECHO)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature=-1 must be 0"),
        ({"top_p": 0}, "top_p=0 must be above 0"),
        ({"top_k": -1}, "top_k=-1 must be a whole number"),
        ({"max_new_tokens": 0}, "max_new_tokens=0 must be a whole number from 1"),
        ({"batch": 0}, "batch=0 must be a whole number from 1"),
        (
            {"max_new_tokens": 2, "constrained": True},
            "max_new_tokens=2 is no room for an action of Echo-v0: the shortest",
        ),
    ],
)
def test_options_without_a_meaning_say_so(options, message):
    with pytest.raises(BadArgument, match=message):
        Local(kind(ECHO), loaded(), **options)


@pytest.mark.parametrize(
    ("number", "count", "wanted"),
    [(None, 2, "cuda"), ("0", 2, "cuda"), ("1", 2, "cuda:1"), ("1", 1, "cuda"), (None, 0, "cpu"), ("1", 0, "cpu")],
)
def test_each_process_has_a_device_of_its_own(monkeypatch, number, count, wanted):
    """Of those of a machine, as torchrun numbers its processes; one that sees no other has that."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if number:
        monkeypatch.setenv("LOCAL_RANK", number)
    assert str(device_of("auto")) == wanted


def test_room_for_one_more_conversation_is_made_for_several(monkeypatch):
    """Each time there is none, all that is kept is copied."""
    store, made, length = cache.Store(), [], 3
    room = cache._room

    def counted(*given):
        made.append(room(*given))
        return made[-1]

    monkeypatch.setattr(cache, "_room", counted)
    store.place()
    first = torch.tensor([0])
    store.aim = cache.Aim(
        first.repeat(length), torch.arange(length), first.repeat(length), torch.arange(length), length, None
    )
    begun = torch.arange(12.0).reshape(1, 2, length, 2)
    store.update(begun, -begun, 0)
    for _ in range(300):
        store.copy(0, store.place(), length)
    assert len(made) < 2 * 20
    keys, values = made[-2:]
    assert 301 <= len(keys) <= 301 * 1.25 + cache.SPARE
    assert torch.equal(keys[:301, :, :length], begun.expand(301, -1, -1, -1))
    assert torch.equal(values[:301, :, :length], -begun.expand(301, -1, -1, -1))


def test_devices_and_dtypes_are_named(tmp_path):
    causal().save_pretrained(tmp_path)
    tokens().save_pretrained(tmp_path)
    with pytest.raises(BadArgument, match="device='moon' is no device: write 'auto'"):
        policies.make(f"hf:{tmp_path}", ECHO, device="moon")
    with pytest.raises(BadArgument, match="dtype='int8' is no dtype: write 'auto'"):
        policies.make(f"hf:{tmp_path}", ECHO, dtype="int8")


def test_a_model_without_keys_and_values_says_so():
    config = transformers.MambaConfig(vocab_size=len(tokens()), hidden_size=16, num_hidden_layers=1, state_size=4)
    with pytest.raises(BadArgument, match=r"MambaForCausalLM has .* choose a decoder"):
        Local(kind(ECHO), Loaded(transformers.MambaForCausalLM(config), tokens()))


def test_a_tokenizer_without_an_end_is_ended_by_the_budget_or_the_grammar():
    words = tokenizer(template=None, end=None)
    policy = Local(kind(ECHO), Loaded(causal(), words), max_new_tokens=9)
    policy.act(chat("Be brief.", "Say amber."), ())
    assert policy.prompt.stops == frozenset()
    assert policy.usage().tokens_out == 9
    policy = Local(kind(ECHO), Loaded(causal(), words), constrained=True)
    assert not isinstance(Parser(kind(ECHO).parts.actions).parse(policy.act(chat("Hi", "Say amber."), ())), Malformed)


def test_the_plain_template_ends_a_turn_only_after_the_agent():
    assert PLAIN.count("eos_token") == 1


def test_a_model_that_knows_echo_by_heart_wins():
    model = causal(hidden_size=64, intermediate_size=128, head_dim=16, initializer_range=0.05)
    policy = Local(kind(ECHO), Loaded(model, tokens()), max_new_tokens=24)
    wins = play(policies.make("expert", ECHO), ECHO, 64, 1, prompt="none")
    learn(model, sorted({policy.prompt.text(episode.messages[:2], asked=False) for episode in wins}))
    policy.forget()
    assert all(episode.success for episode in play(policy, ECHO, 64, 8, prompt="none"))


def learn(model, texts):
    """Learn texts by heart."""
    rows = [tokens().encode(text) for text in texts]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(150):
        loss = model(input_ids=ids, labels=ids.masked_fill(ids == 0, -100)).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()


def test_a_misspelt_option_is_told():
    with pytest.raises(BadArgument, match=r"'hf:nowhere' cannot be made so .*constraind"):
        policies.make("hf:nowhere", "StateSet/Echo-v0", constraind=True)
