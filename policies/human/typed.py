"""What is typed on one line: the name of an action, and the fields that follow it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ...envs.actions import ActionSet
from .form import YES_OR_NO, Ask, Form, Offers, Question

_TOKEN = re.compile(r'(?:(\w+)=)?("(?:[^"\\]|\\.)*"|\S+)')


class Pending(Exception):
    """The words are used up, and a question is left."""

    def __init__(self, question: Question) -> None:
        self.question = question


class Words:
    """The words of a line, handed to the questions that they answer: in order, or by `name=value`."""

    def __init__(self, line: str) -> None:
        self._tokens = list(_TOKEN.finditer(line))
        self.given = bool(self._tokens)

    @property
    def left(self) -> str:
        """The words that have answered nothing."""
        return " ".join(token[0] for token in self._tokens)

    def drop(self) -> None:
        """Forget what is left."""
        self._tokens.clear()

    def take(self, question: Question) -> str | None:
        """The answer to a question; a text that is asked for last takes all that is left."""
        if question.kind == YES_OR_NO:  # whether a list goes on
            return None
        names = [token[1] for token in self._tokens]
        if question.name in names:
            place, part = names.index(question.name), 2
        elif names and names[0] is None:
            place, part = 0, 0
        else:
            return None
        end = len(names) if question.last else place + 1
        first, *more = self._tokens[place:end]
        del self._tokens[place:end]
        return " ".join([first[part], *(token[0] for token in more)])


def completions(line: str, actions: ActionSet, commands: Sequence[str], offers: Offers) -> list[str]:
    """What the last word of a line may become."""
    head, _, _ = line.rpartition(" ")
    name, _, rest = head.strip().partition(" ")
    if not name:
        return [*actions.names, *commands]
    if name not in actions.by_name:
        return [*actions.names] if name == "?" else []
    try:
        Form(actions, _dry(Words(rest)), offers).fill(name)
    except Pending as pending:
        return [quoted(offer.text) for offer in pending.question.offers]
    return []


def _dry(words: Words) -> Ask:
    """Answers from the words, and stops where they end or will not do."""

    def ask(question: Question) -> str:
        answer = None if question.wrong else words.take(question)
        if question.kind == YES_OR_NO:
            return ""
        if answer is None:
            raise Pending(question)
        return answer

    return ask


def quoted(text: str) -> str:
    """A text as one word."""
    return json.dumps(text, ensure_ascii=False) if " " in text else text
