"""Transcripts as the text that a model was trained on, and that text as ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from ...envs.errors import BadArgument

Message = Mapping[str, str]

PLAIN = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}"
    "{{ eos_token if message.role == 'assistant' }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
"""The chat template of a tokenizer that has none: each message under its role, the agent's closed by the end token."""

_SYSTEM, _USER, _AGENT = ({"role": role, "content": "x"} for role in ("system", "user", "assistant"))


class Prompt:
    """A tokenizer and its chat template."""

    def __init__(self, tokenizer: Any, template: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        self.tokenizer = tokenizer
        self._template = PLAIN if template == "plain" else template or tokenizer.chat_template or PLAIN
        self._options = dict(options or {})
        self._merged = False
        self._opening: tuple[Sequence[Message], list[int]] = ([], [])
        self._try()
        self.stops = self._stops()

    def text(self, messages: Sequence[Message], asked: bool = True) -> str:
        """The transcript as text, up to where the agent's next words belong."""
        text: str = self.tokenizer.apply_chat_template(
            _without_system(messages) if self._merged else list(messages),
            chat_template=self._template,
            add_generation_prompt=asked,
            tokenize=False,
            **self._options,
        )
        return text

    def ids(self, text: str) -> list[int]:
        """Text as ids; all special tokens stand in the text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return ids

    def all_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The same of many texts, each by itself."""
        found: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return found

    def words(self, ids: Sequence[int]) -> str:
        """Ids as text, special tokens and all."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def opening(self, messages: Sequence[Message]) -> list[int]:
        """The ids with which every conversation begins that has the same messages before the first user's."""
        first = next((at for at, message in enumerate(messages) if message["role"] == "user"), 0)
        before = messages[:first]
        if before != self._opening[0]:
            probes = [self.ids(self.text([*before, {"role": "user", "content": word}])) for word in ("x", "Y")]
            self._opening = before, probes[0][: common(*probes)]
        return self._opening[1]

    def _try(self) -> None:
        """Some templates refuse a system message: it then stands at the head of the first user's."""
        try:
            self.text([_SYSTEM, _USER, _AGENT, _USER])
        except TemplateError:
            self._merged = True
            try:
                self.text([_SYSTEM, _USER, _AGENT, _USER])
            except TemplateError as error:
                raise BadArgument(
                    f"The chat template cannot show a conversation ({error}): "
                    "give template='plain', or a Jinja template of your own."
                ) from error

    def _stops(self) -> frozenset[int]:
        """The tokenizer's end, and what its template puts behind the agent's words where that is a special token."""
        ends = {self.tokenizer.eos_token_id}
        whole = self.text([_USER, _AGENT], asked=False)
        after = self.ids(whole[whole.rindex("x") + 1 :])
        ends |= {*after[:1]} & {*self.tokenizer.added_tokens_decoder}
        return frozenset(int(end) for end in ends if end is not None)


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The same with the system message at the head of the first user's."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return list(messages)
    head, first, *rest = messages
    return [{**first, "content": f"{head['content']}\n\n{first['content']}"}, *rest]


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two lists begin with alike."""
    least = min(len(one), len(other))
    if one[:least] == other[:least]:
        return least
    return next(at for at in range(least) if one[at] != other[at])
