"""The discrete view of Echo: one of four words is the one that was asked for; a feature tells its place."""

from __future__ import annotations

from ..catalogue import Catalogue
from ..memory import Memory
from .actions import Say
from .scenes import WORDS

PLACES = ("first", "second", "third", "fourth")


def _place(word: str) -> int:
    """A word's place among its four; the words of each split and difficulty take all of them."""
    number = WORDS.index(word) if word in WORDS else sum(map(ord, word))
    return (number + number // len(PLACES)) % len(PLACES)


def _asked(memory: Memory) -> str | None:
    word: str | None = memory.person.get("word")
    return word


def _bind(word: str | None) -> dict[str, Say | None]:
    """Four words: the one that was asked for, at its place among others."""
    names = [f"say.{place}" for place in PLACES]
    if word is None:
        return dict.fromkeys(names)
    words = [other for other in WORDS if other != word][: len(PLACES) - 1]
    words.insert(_place(word), word)
    return {name: Say(each) for name, each in zip(names, words, strict=True)}


def _read(word: str | None) -> dict[str, float]:
    """The place of the word that was asked for."""
    here = None if word is None else _place(word)
    return {f"asked.{name}": float(place == here) for place, name in enumerate(PLACES)}


CATALOGUE = Catalogue(_asked, _bind, _read)
