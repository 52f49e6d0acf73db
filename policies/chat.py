"""Hosted models as a policy: structured outputs, tool calls or plain text, many conversations at once."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..envs.conversation import Observation
from ..envs.errors import BadArgument, one_of
from ..envs.memory import Fact
from ..rewards.endpoint import InfrastructureError, Reply, Unsupported, endpoint
from ..rewards.openai import is_theirs
from . import strict as strictly
from . import tool_calls
from .base import Kind, Policy, Usage

_log = logging.getLogger(__name__)
Style = Literal["auto", "structured", "tools", "text"]
STYLES = ("structured", "tools", "text")
"""The styles in the order in which they are tried."""
STYLE, STRICT = "style", "strict"
"""What a cassette notes."""


@dataclass
class Manners:
    """How a server is asked; found out once for all conversations."""

    style: str
    sure: bool
    """Whether it has answered so, or was told to be asked so."""
    noted: bool = False
    """Whether a cassette knows: where it is played, nobody can be asked."""
    notes: list[str] = field(default_factory=list)


class Chat(Policy):
    """A hosted model. It is shown the transcript and nothing else, and what it answers is played as it is.

    `style` is how it gives its actions; "auto" asks for structured outputs, and steps down to tool calls and then to
    text where the server says that it does not support them: `notes` tells so. `strict` asks a server to keep to the
    schema in the way that OpenAI's do; by default only theirs are asked to. With a `seed`, requests have one, made
    of it and of the episode's. The other options are those of `rewards.endpoint.endpoint`.
    """

    manner = "async"
    parallel = 16

    def __init__(
        self,
        kind: Kind,
        model: str = "openai:gpt-4o",
        *,
        style: Style = "auto",
        strict: bool | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        one_of("style", style, ("auto", *STYLES))
        _known(model, options)
        try:
            self.endpoint = endpoint(model, **options)
        except ValueError as error:
            raise BadArgument(f"Policy {model!r}: {error}") from None
        self._seed = seed
        self._names = frozenset(kind.parts.actions.names)
        if strict is None:
            noted = self.endpoint.recall(STRICT)
            strict = is_theirs(self.endpoint.base_url) if noted is None else noted == str(True)
        self._strict = strict
        self._asking = _asking(kind, strict)
        chosen = self.endpoint.recall(STYLE) if style == "auto" else style
        self._manners = Manners(chosen, True) if chosen in STYLES else Manners(STYLES[0], False)
        self.reset()

    @property
    def style(self) -> str:
        """How the server is asked by now."""
        return self._manners.style

    @property
    def notes(self) -> list[str]:
        """What was found out about the server, and changed how it is asked."""
        return self._manners.notes

    def reset(self, seed: int | None = None) -> None:
        """A conversation begins: its seed names it in a cassette."""
        self._episode, self._tag = seed, "" if seed is None else str(seed)
        self._usage = Usage()
        self.endpoint.begin(self._tag)

    def act(self, observation: Observation, facts: Sequence[Fact]) -> str:
        """What the model answers."""
        while True:
            style = self.style
            try:
                return self._played(self.endpoint.chat(**self._request(observation, style)), style)
            except Unsupported as error:
                self._step_down(style, error)

    async def act_async(self, observation: Observation, facts: Sequence[Fact], slot: int = 0) -> str:
        """What the model answers in the conversation of a slot."""
        one = self.at(slot)
        assert isinstance(one, Chat)
        while True:
            style = one.style
            try:
                return one._played(await one.endpoint.chat_async(**one._request(observation, style)), style)
            except Unsupported as error:
                one._step_down(style, error)

    def usage(self, slot: int = 0) -> Usage:
        """What the requests of a slot have cost."""
        one = self.at(slot)
        assert isinstance(one, Chat)
        return one._usage

    def close(self) -> None:
        """Close the connections, and finish a cassette that is recorded."""
        self.endpoint.close()

    def _request(self, observation: Observation, style: str) -> dict[str, Any]:
        transcript = observation["messages"]
        seed = None if self._seed is None else self._seed ^ (self._episode or 0)
        shown = tool_calls.messages(transcript, self._names) if style == "tools" else transcript
        return {"messages": shown, **self._asking[style], "seed": seed, "tag": self._tag}

    def _played(self, reply: Reply, style: str) -> str:
        """The text to be played; that the style is one the server supports is known from now on."""
        usage = self._usage
        usage.calls += 1
        usage.tokens_in = _sum(usage.tokens_in, reply.tokens_in)
        usage.tokens_out = _sum(usage.tokens_out, reply.tokens_out)
        if not self._manners.noted:
            self._manners.sure = self._manners.noted = True
            self.endpoint.note(STYLE, style)
            self.endpoint.note(STRICT, str(self._strict))
        text = tool_calls.text_of(reply.calls) if reply.calls else reply.text or reply.refusal
        return strictly.without_nulls(text) if self._strict and style != "text" else text

    def _step_down(self, style: str, error: Unsupported) -> None:
        """Ask in the next style from now on, unless another conversation has come to that before."""
        manners = self._manners
        if manners.style != style:
            return
        if manners.sure or style == STYLES[-1]:
            others = ", ".join(repr(each) for each in STYLES if each != style)
            raise InfrastructureError(error.what, error.where, f"choose another style: {others}.", fatal=True) from None
        manners.style = STYLES[STYLES.index(style) + 1]
        note = f"{error.where} does not support style={style!r} ({error.what}): {manners.style!r} is used"
        manners.notes.append(note)
        _log.warning(note)


def _asking(kind: Kind, strict: bool) -> dict[str, dict[str, Any]]:
    """Style -> what a request has beside the messages."""
    wanted, tools = kind.parts.actions.response_format(), kind.parts.actions.tools()
    if strict:
        wanted, tools = strictly.response_format(wanted), [strictly.tool(each) for each in tools]
    return {"structured": {"response_format": wanted}, "tools": {"tools": tools}, "text": {}}


def _known(model: str, options: dict[str, Any]) -> None:
    """Raise `BadArgument` for an option that there is not."""
    keywords = inspect.signature(endpoint).parameters.values()
    known = ["style", "strict", "seed", *(each.name for each in keywords if each.kind is each.KEYWORD_ONLY)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"Did you mean: {near[0]!r}?" if near else f"Choose from {', '.join(known)}."
            raise BadArgument(f"Policy {model!r} has no option {name!r}. {meant}")


def _sum(so_far: int | None, more: int | None) -> int | None:
    return so_far if more is None else (so_far or 0) + more
