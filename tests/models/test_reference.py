"""The small model to begin with: its tokenizer spells everything, words are whole, and it is a plain folder."""

from random import Random

import pytest
import torch
import transformers

from stateset_gym.policies.local.prompt import Prompt
from stateset_gym.policies.rollout import rollout
from stateset_gym.policies.runs import Setting
from stateset_gym.policies.scripted import Expert
from stateset_gym.trainers import reference
from stateset_gym.trainers.optimizer import muon

from .trained import BARE, ECHO, SERVICE, TRIAGE, tokenizer, untrained

IDS = (ECHO, TRIAGE, SERVICE)


def transcripts(env_id, split, count=10):
    env = Setting(env_id, "", {**BARE, "split": split}).env()
    expert = Expert(type(env))
    for number in range(count):
        yield rollout(expert, env, f"{env_id.partition('/')[2]}/{split}/easy/{number:06d}").messages


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_transcript_is_spelt_and_read_back(env_id, split):
    prompt = Prompt(tokenizer(env_id))
    for messages in transcripts(env_id, split):
        text = prompt.text(messages, asked=False)
        assert prompt.words(prompt.ids(text)) == text


def test_whatever_a_user_writes_is_spelt():
    prompt = Prompt(tokenizer(ECHO))
    text = "Grüße, 東京 \n\t 12345 <not a token> {}"
    assert prompt.words(prompt.ids(text)) == text


@pytest.mark.parametrize("env_id", IDS)
def test_a_turn_ends_with_the_one_token_that_stops_it(env_id):
    words = tokenizer(env_id)
    prompt = Prompt(words)
    assert prompt.stops == {words.eos_token_id}
    ids = prompt.ids(
        prompt.text([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x"}], asked=False)
    )
    assert ids[-1] == words.eos_token_id
    assert ids.count(words.eos_token_id) == 1


def test_the_same_tokenizer_is_made_again():
    one, two = (reference.tokenizer(ECHO, 512, 30, **BARE).backend_tokenizer.to_str() for _ in range(2))
    assert one == two


def test_a_word_is_one_token_where_it_is_read_and_where_it_is_said():
    """Copying is looking up: what the customer asks for and what the agent says is the same id."""
    words = tokenizer(ECHO)
    for messages in transcripts(ECHO, "train"):
        said = words.tokenize(messages[1]["content"])
        assert len(said) <= 4
        assert {*said} & {*words.tokenize(messages[0]["content"])}


def test_the_model_is_a_folder_as_any_other(tmp_path):
    model, words = untrained(ECHO)
    model.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    spelt = transformers.AutoTokenizer.from_pretrained(tmp_path)
    chat = [{"role": "user", "content": "Please say amber."}]
    shown = [each.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) for each in (words, spelt)]
    assert shown[0] == shown[1] == "<|user|>Please say amber.<|assistant|>"
    ids = torch.tensor([spelt.encode(shown[0], add_special_tokens=False)])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, again.eval()(ids).logits)
    assert getattr(again.config, reference.MARK)


@pytest.mark.parametrize("width", [128, 160, 256, 512])
def test_a_new_model_finds_what_stands_behind_two_words(width):
    """It has learnt nothing, and of sixteen records of four words by four it finds the one that is named again."""
    chance = Random(width)
    model = reference.model(tokenizer(SERVICE), width=width, layers=3, seed=width)
    words = range(model.config.vocab_size // 2)
    values = range(len(words), model.config.vocab_size)
    found, asked = 0, 100
    for _ in range(asked):
        these, those = chance.sample(words, 4), chance.sample(words, 4)
        comma, colon, end = chance.sample(words, 3)
        records = [[one, comma, two, colon, chance.choice(values)] for one in these for two in those]
        wanted = chance.choice(records)
        shown = [token for record in records for token in (*record, end)]
        asking = [*chance.choices(words, k=3), *wanted[:-1]]
        with torch.no_grad():
            found += model(torch.tensor([shown + asking])).logits[0, -1].argmax() == wanted[-1]
    assert found / asked > 0.8


def test_tokens_of_one_word_are_akin_and_others_far_apart():
    """A word is found again behind a comma or in JSON; and no two words pass for each other."""
    words = reference.tokenizer(SERVICE, conversations=600)
    kin = reference.kin(words)
    spelt = ("white", "white ", ", size ", "size ", "black ")
    white, spaced, comma, size, black = (words.convert_tokens_to_ids(words.tokenize(each))[0] for each in spelt)
    assert len({white, spaced, comma, size, black}) == 5
    assert kin[white] == kin[spaced] != kin[black]
    assert kin[comma] == kin[size]
    weights = reference.model(words, seed=3).model.embed_tokens.weight[:, :79]
    near = weights @ weights.T
    assert near[white, spaced] > 0.7 > 0.5 > near[white, black]
    assert near[comma, size] > 0.7


def test_all_weights_of_a_new_model_can_learn():
    """Where both what a head reads and what it writes are nought, no gradient would ever move either."""
    model = reference.model(tokenizer(ECHO), width=160, layers=3)
    optimizer = muon(model, 0.02, 0.0)
    ids = torch.randint(0, model.config.vocab_size, (4, 60), generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    for layer in model.model.layers:
        attention = layer.self_attn
        assert (attention.v_proj.weight.abs().sum(1) + attention.o_proj.weight.abs().sum(0)).min() > 0


def test_weights_follow_from_the_seed():
    one, two, other = (untrained(ECHO, seed).model for seed in (0, 0, 1))
    pairs = [*zip(one.parameters(), two.parameters(), other.parameters(), strict=True)]
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)
