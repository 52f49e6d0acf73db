"""What all hosted models have in common: how many are asked at once, when to give up, and the cassette."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import weakref
from abc import abstractmethod
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from .background import Background
from .cassette import Cassette
from .errors import InfrastructureError
from .messages import Message, Reply, Request, request
from .options import Options, check_address

T = TypeVar("T")
PAUSE = 30.0
"""Seconds after which one request finds out whether a server that failed too often is well again."""


class Unsupported(InfrastructureError):
    """The server does not do what was asked for, e.g. structured outputs: it may be asked otherwise."""


class NotFound(InfrastructureError):
    """The server does not know the model, or not the address: it may be restarting, if it has known it before."""


class Keys(tuple[str, ...]):
    """Keys, which are not shown where what holds them is."""

    def __repr__(self) -> str:
        return "Keys(...)"


class Endpoint:
    """A hosted model. Whatever it answers is a `Reply`; what fails beside it is an `InfrastructureError`.

    It may be asked from any thread and any event loop: the requests are made in a loop of its own, so that one
    pool of connections and one count of failures serve all who ask. A subclass gives `connect` and `ask`.
    """

    provider: ClassVar[str] = ""
    address: ClassVar[str] = ""
    variables: ClassVar[tuple[str, ...]] = ()
    """The environment variables that may hold the key."""

    def __init__(self, model: str, options: Options) -> None:
        self.model, self.name, self.options = model, f"{self.provider}:{model}", options
        self.base_url = options.base_url or os.environ.get(f"{self.provider.upper()}_BASE_URL") or self.address
        """The address that requests go to."""
        check_address(self.base_url)
        self._known = Keys()
        """Keys that were used, or might be: none is ever shown, whatever the environment holds by then."""
        self._learn()
        self._guard = threading.Lock()
        self._background: Background | None = None
        self._clients: list[Any] = []
        self._answered = False
        self._dead: tuple[str, str] | None = None
        """Why nothing is asked, and the remedy."""
        self._ended = False
        """Whether that is so for good: not for a pause, after which one request is let through."""
        self._failures, self._missed, self._failed_at = 0, 0, float("-inf")
        self.cassette: Cassette | None = None
        if options.cassette is not None:
            self.cassette = Cassette(Path(options.cassette), options.record)
            weakref.finalize(self, self.cassette.close)
        if options.record is True or self.cassette is None:
            _ = self.client

    @abstractmethod
    def connect(self) -> Any:
        """The asynchronous client of an SDK."""

    @abstractmethod
    async def ask(self, asked: Request) -> Reply:
        """Make one request, retried as the options say; what fails is an `InfrastructureError`."""

    def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        response_format: Mapping[str, Any] | None = None,
        seed: int | None = None,
        tag: str = "",
        once: bool = False,
    ) -> Reply:
        """Ask, and wait for the answer.

        `tag` names the conversation in a cassette; see `begin`. With `once` its equal requests have one answer.
        """
        asked = self._request(messages, tools, response_format, seed)
        if (known := self._recorded(asked, tag, once)) is not None:
            return known
        future = self._submit(self._answer(asked, tag, once))
        try:
            return future.result()
        finally:
            future.cancel()  # of use only where the wait was interrupted

    async def chat_async(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        response_format: Mapping[str, Any] | None = None,
        seed: int | None = None,
        tag: str = "",
    ) -> Reply:
        """Ask, and let others go on until the answer is there."""
        asked = self._request(messages, tools, response_format, seed)
        if (known := self._recorded(asked, tag)) is not None:
            return known
        return await asyncio.wrap_future(self._submit(self._answer(asked, tag)))

    def begin(self, tag: str) -> None:
        """The conversation of a tag begins anew: in the cassette, its requests are counted from the first."""
        if self.cassette is not None:
            self.cassette.rewind(tag)

    def recall(self, name: str) -> str | None:
        """What the cassette that is played has noted about the server."""
        return None if self.cassette is None else self.cassette.recall(name)

    def note(self, name: str, value: str) -> None:
        """Note something about the server in the cassette that is recorded."""
        if self.cassette is not None:
            self.cassette.note(name, value)

    def close(self) -> None:
        """Let go of the connections, and finish the cassette; a later request opens them anew."""
        with self._guard:
            background, self._background, self._clients = self._background, None, []
        if background is not None:
            background.close()
        if self.cassette is not None:
            self.cassette.close()

    @property
    def client(self) -> Any:
        """The SDK's client, connected when it is first needed."""
        if not self._clients:
            self._learn()
            if any(not key.isascii() or not key.isprintable() or " " in key for key in self.keys):
                remedy = f"give it as it was issued: api_key=... or {self.variables[0]}."
                raise self.failure(
                    "the key holds a space, a line break or the like, as no key does", remedy, fatal=True
                )
            self._clients.append(self.connect())
            self._learn(*(getattr(self._clients[0], name, None) for name in ("api_key", "auth_token")))
        return self._clients[0]

    @property
    def where(self) -> str:
        """Which model and where; an address holds nothing that is secret."""
        return f"{self.name} at {self.base_url}"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that may be used, the first of them first; none is ever shown."""
        return self._known

    def _learn(self, *keys: Any) -> None:
        """Remember the keys that there are now, before those of earlier."""
        now = (self.options.api_key, *map(os.environ.get, self.variables), *keys)
        self._known = Keys(dict.fromkeys(key for key in (*now, *self._known) if key and isinstance(key, str)))

    def hidden(self, text: str) -> str:
        """A text without the keys."""
        pattern = hiding(key for key in self.keys if len(key) > 3)
        return text if pattern is None else pattern.sub("***", text)

    def failure(self, what: str, remedy: str, fatal: bool = False) -> InfrastructureError:
        """The error for something that failed here."""
        return InfrastructureError(self.hidden(what), self.where, self.hidden(remedy), fatal)

    def _request(self, messages: Any, tools: Any, response_format: Any, seed: int | None) -> Request:
        options = self.options
        settings = {"seed": seed, "temperature": options.temperature, "max_tokens": options.max_tokens}
        given = {name: value for name, value in settings.items() if value is not None}
        return request(self.name, messages, tools, response_format, given | dict(options.extra))

    def _recorded(self, asked: Request, tag: str, once: bool = False) -> Reply | None:
        """The recorded answer; `None` where one is to be asked for."""
        return None if self.cassette is None else self.cassette.play(asked, tag, once)

    async def _answer(self, asked: Request, tag: str, once: bool = False) -> Reply:
        """Ask when there is a place, unless too many have failed."""
        async with self._places:
            begun = asyncio.get_running_loop().time()
            if self._dead is not None:
                if self._ended or begun < self._failed_at + PAUSE:
                    raise self.failure(*self._dead, fatal=True)
                self._failed_at = begun  # this one request finds out whether the server is well again
            try:
                reply = await self.ask(asked)
            except InfrastructureError as error:
                wrong = error
            else:
                self._answered, self._failures, self._missed = True, 0, 0
                if not self._ended:
                    self._dead = None
                return reply if self.cassette is None else self.cassette.add(asked, tag, reply, once)
        raise self._counted(wrong, begun)

    def _counted(self, wrong: InfrastructureError, begun: float) -> InfrastructureError:
        """Count a failure; those that were under way together are one. After too many, nothing more is asked."""
        if isinstance(wrong, Unsupported):
            return wrong
        if begun >= self._failed_at:
            self._failures += 1
            self._missed += isinstance(wrong, NotFound)
            self._failed_at = asyncio.get_running_loop().time()
        if isinstance(wrong, NotFound) and self._answered and self._missed <= 1:
            wrong = self.failure(wrong.what, wrong.remedy)
        if wrong.fatal:
            self._dead = self._dead if self._ended else (wrong.what, wrong.remedy)
            self._ended = True
        elif self._failures >= self.options.breaker:
            what = f"{self._failures} requests in a row failed, the last so: {wrong.what}"
            self._dead = self._dead or (what, wrong.remedy)
            return self.failure(*self._dead, fatal=True)
        return wrong

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Do something in the loop of this endpoint; a process that was forked off starts its own."""
        with self._guard:
            if self._background is None or self._background.inherited:
                if self._background is not None:
                    self._clients = []
                self._background = Background(self._clients)
                self._places = asyncio.Semaphore(self.options.concurrency)
                self._afresh()
            return self._background.submit(work)

    def _afresh(self) -> None:
        """Count the failures from none."""
        self._dead, self._ended = None, False
        self._failures, self._missed, self._failed_at = 0, 0, float("-inf")

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, has connections of its own, and its key from the environment there."""
        return type(self), (self.model, self.options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.where}>"


def hiding(keys: Iterable[str]) -> re.Pattern[str] | None:
    """What finds keys in a text, also where JSON has escaped some of their characters; `None` where there are none."""
    found = sorted({*keys}, key=len, reverse=True)
    return re.compile("|".join("".join(map(_escaped, key)) for key in found)) if found else None


def _escaped(sign: str) -> str:
    return rf"(?:\\{{0,4}}{re.escape(sign)}|\\{{1,4}}u(?i:{ord(sign):04x}))"
