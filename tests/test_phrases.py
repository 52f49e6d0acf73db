"""What customers can say, and the names their world is made of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

import pytest

from stateset_gym.envs.customer_service import lexicon
from stateset_gym.envs.customer_service.phrases import HEADS, TAILS

EASY = 4
EASY_VOCABULARY = 260
SLOTTED = {
    "email",
    "name",
    "postcode",
    "order_id",
    "product",
    "options",
    "payment_method",
    "address",
    "announce",
}
KINDS = {
    "order_question",
    "product_question",
    "cancel_order",
    "change_items",
    "change_address",
    "change_payment",
    "change_profile_address",
    "return_items",
    "exchange_items",
    "out_of_scope",
}
REACTIONS = {
    "greeting",
    "accept",
    "thanks",
    "accept_refusal",
    "decline",
    "change",
    "push_back.refusal",
    "push_back.answer",
    "push_back.waste",
    "cannot_tell",
    "drift",
    "leave",
    "nothing",
    "chatter",
    "reassure",
}
MEANINGS = {
    "reason.no_longer_needed",
    "reason.ordered_by_mistake",
    "question.status",
    "question.total",
    "question.price",
    "question.available",
}
GROUPS = {key.partition(".")[0] for key in REACTIONS} | {"request", "also", "reply", "again", "correct", "announce"}
LISTS = [*(("head", k, HEADS[k]) for k in HEADS), *(("tail", k, TAILS[k]) for k in TAILS)]
NAMED = {
    "first names": (lexicon.FIRST_NAMES, 64),
    "last names": (lexicon.LAST_NAMES, 64),
    "goods": (tuple(good[0] for good in lexicon.GOODS), 48),
    "styles": (lexicon.STYLES, 32),
    "streets": (lexicon.STREETS, 48),
    "places": (tuple(place[0] for place in lexicon.PLACES), 48),
    "domains": (lexicon.MAIL_DOMAINS, 8),
}
each_list = pytest.mark.parametrize(("sort", "key", "entries"), LISTS, ids=[f"{s}-{k}" for s, k, _ in LISTS])


def words(texts: Iterable[str]) -> set[str]:
    """The lower-cased words of texts, slots left out; `can't` is one word."""
    return {word for text in texts for word in re.findall(r"[a-z]+(?:'[a-z]+)?", text.replace("{value}", "").lower())}


def everything_said() -> Iterator[str]:
    return (entry for _, _, entries in LISTS for entry in entries)


def goods_words() -> set[str]:
    values = (value for _, axes, _, _ in lexicon.GOODS for value in itertools.chain(*axes.values()))
    return words(good[0] for good in lexicon.GOODS) | words(values)


def bare(text: str) -> str:
    """A text without what a typing error or a comma could blur."""
    return re.sub(r"[^a-z ]", "", text.replace("{value}", " slot ").lower()).strip()


def test_the_keys_are_those_that_the_customer_uses() -> None:
    assert set(HEADS) == GROUPS
    assert set(TAILS) == SLOTTED | MEANINGS | REACTIONS | {f"request.{kind}" for kind in KINDS}


@each_list
def test_a_list_is_long_enough_and_halves_evenly(sort: str, key: str, entries: tuple[str, ...]) -> None:
    assert len(entries) % 2 == 0
    assert len(entries) >= (8 if sort == "head" else 12)
    assert len({bare(entry) for entry in entries}) == len(entries)


@pytest.mark.parametrize("table", [HEADS, TAILS], ids=["heads", "tails"])
def test_no_phrase_of_one_split_is_one_of_the_other(table: dict[str, tuple[str, ...]]) -> None:
    train = {bare(entry) for entries in table.values() for entry in entries[0::2]}
    test = {bare(entry) for entries in table.values() for entry in entries[1::2]}
    assert not train & test


def test_no_tail_has_two_meanings() -> None:
    tails = [bare(tail) for tails in TAILS.values() for tail in tails]
    assert len(tails) == len(set(tails))


@pytest.mark.parametrize("key", ["drift", "chatter"])
def test_remarks_are_many(key: str) -> None:
    assert len(TAILS[key]) >= 20


@pytest.mark.parametrize("key", TAILS)
def test_a_detail_has_its_one_slot_and_nothing_else_has_one(key: str) -> None:
    for tail in TAILS[key]:
        assert tail.count("{value}") == (key in SLOTTED), tail
        assert not re.search(r"[{}]", tail.replace("{value}", "")), tail


@each_list
def test_phrases_hold_no_digit_bracket_or_stray_space(sort: str, key: str, entries: tuple[str, ...]) -> None:
    for entry in entries:
        assert entry.isascii(), entry
        assert not re.search(r"[\d\[\]@#$%]", entry), entry
        assert entry == " ".join(entry.split()), entry


@pytest.mark.parametrize("key", HEADS)
def test_a_head_opens_a_sentence(key: str) -> None:
    for head in HEADS[key]:
        assert head[0].isupper(), head
        assert not head.endswith((".", "!", "?")), head


@pytest.mark.parametrize("key", TAILS)
def test_a_tail_reads_on_and_ends_the_sentence(key: str) -> None:
    for tail in TAILS[key]:
        assert re.match(r"[a-z]|I\b|\{value\}", tail), tail
        assert not tail.endswith((".", "!", ",", ":")), tail


def test_a_request_reads_on_from_its_head() -> None:
    assert all(head.endswith(" to") for head in HEADS["request"])
    for kind in KINDS:
        assert not any(tail.startswith(("to ", "I ", "the ")) for tail in TAILS[f"request.{kind}"]), kind


def test_a_payment_method_is_always_the_customers_own() -> None:
    assert all("my {value}" in tail for tail in TAILS["payment_method"])


def test_an_unshipped_change_and_a_delivered_exchange_or_return_are_told_apart() -> None:
    unshipped = re.compile(r"ship|send|sent|before|pending|out\b|not left|hasn't left|still with you")
    received = re.compile(r"arrived|deliver|received|came|something I got|what I got|refund")
    for tail in TAILS["request.change_items"]:
        assert unshipped.search(tail), tail
        assert not received.search(tail), tail
    for tail in TAILS["request.return_items"] + TAILS["request.exchange_items"]:
        assert received.search(tail), tail
    swap = re.compile(r"exchang|swap|trade|switch|replac|another|different")
    assert not any(swap.search(tail) for tail in TAILS["request.return_items"])
    assert all(swap.search(tail) for tail in TAILS["request.exchange_items"])


def test_easy_phrases_are_short_and_few_words_make_them_up() -> None:
    assert all(len(tail.split()) <= 7 for tails in TAILS.values() for tail in tails[:EASY])
    assert len(words(entry for _, _, entries in LISTS for entry in entries[:EASY])) <= EASY_VOCABULARY


@pytest.mark.parametrize("sort", NAMED)
def test_names_are_distinct_and_of_the_stated_number(sort: str) -> None:
    names, number = NAMED[sort]
    assert len(names) == number
    assert len({name.lower() for name in names}) == number


@pytest.mark.parametrize("sort", ["goods", "streets", "places", "domains"])
def test_no_name_hides_in_another_of_its_list(sort: str) -> None:
    names, _ = NAMED[sort]
    assert not [(a, b) for a, b in itertools.permutations(names, 2) if a.lower() in b.lower()]


def test_a_persons_name_is_no_other_word() -> None:
    people = [name.lower() for name in lexicon.FIRST_NAMES + lexicon.LAST_NAMES]
    assert len(people) == len(set(people))
    places = itertools.chain.from_iterable(lexicon.PLACES)
    others = words(everything_said()) | goods_words() | words(lexicon.STYLES + lexicon.STREETS) | words(places)
    # Not even inside a word, so that a search of a transcript for a name finds that name alone.
    assert not [(name, other) for name in people for other in others if name in other]
    assert all(name.isalpha() and name.isascii() for name in people)


def test_streets_and_towns_share_no_name() -> None:
    towns = {city.lower() for city, _, _ in lexicon.PLACES}
    assert not towns & {street.lower() for street in lexicon.STREETS}
    codes = {code.lower() for _, state, country in lexicon.PLACES for code in (state, country)}
    assert not (towns | codes) & words(everything_said())


def test_what_customers_say_names_no_good_option_or_style() -> None:
    assert not (goods_words() | words(lexicon.STYLES)) & words(everything_said())


def test_mail_domains_are_reserved_ones() -> None:
    assert all(re.fullmatch(r"[a-z]+\.example", domain) for domain in lexicon.MAIL_DOMAINS)


@pytest.mark.parametrize("good", lexicon.GOODS, ids=[good[0] for good in lexicon.GOODS])
def test_a_good_has_variants_told_apart_by_their_options(good: lexicon.Good) -> None:
    _, axes, low, high = good
    assert 1 <= len(axes) <= 2
    assert all(3 <= len(values) <= 5 for values in axes.values())
    combinations = list(itertools.product(*axes.values()))
    assert len(combinations) >= 4
    assert 0 < low < high


def test_an_option_belongs_to_one_axis_alone() -> None:
    axis_of: dict[str, str] = {}
    for _, axes, _, _ in lexicon.GOODS:
        for axis, values in axes.items():
            assert all(axis_of.setdefault(value, axis) == axis for value in values)
            assert len(set(values)) == len(values)
    assert len(set(axis_of.values())) <= 5
    assert not set(axis_of) & set(axis_of.values())
