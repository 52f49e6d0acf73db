"""What all hosted models have in common: how many are asked at once, when to give up, and the cassette."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from abc import abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from .background import Background
from .cassette import Cassette
from .errors import InfrastructureError
from .messages import Message, Reply, Request, request
from .options import Options, check_address

T = TypeVar("T")


class Unsupported(InfrastructureError):
    """The server does not do what was asked for, e.g. structured outputs: it may be asked otherwise."""


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
        check_address(self.base_url)
        self._guard = threading.Lock()
        self._background: Background | None = None
        self._clients: list[Any] = []
        self._failures, self._failed_at = 0, float("-inf")
        self._dead: tuple[str, str] | None = None
        """What ended it, and the remedy."""
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
    ) -> Reply:
        """Ask, and wait for the answer. `tag` names the conversation in a cassette; see `begin`."""
        asked = self._request(messages, tools, response_format, seed)
        if (known := self._recorded(asked, tag)) is not None:
            return known
        future = self._submit(self._answer(asked, tag))
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
            if any(not key.isascii() or not key.isprintable() or " " in key for key in self.keys):
                remedy = f"give it as it was issued: api_key=... or {self.variables[0]}."
                raise self.failure(
                    "the key holds a space, a line break or the like, as no key does", remedy, fatal=True
                )
            self._clients.append(self.connect())
        return self._clients[0]

    @property
    def base_url(self) -> str:
        """The address that requests go to."""
        return self.options.base_url or os.environ.get(f"{self.provider.upper()}_BASE_URL") or self.address

    @property
    def where(self) -> str:
        """Which model and where, without what may be secret in an address."""
        address = urlsplit(self.base_url)
        return f"{self.name} at {address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that may be used; none is ever shown."""
        return tuple(filter(None, (self.options.api_key, *map(os.environ.get, self.variables))))

    def hidden(self, text: str) -> str:
        """A text without the keys."""
        for key in self.keys:
            text = text.replace(key, "***") if len(key) > 3 else text
        return text

    def failure(self, what: str, remedy: str, fatal: bool = False) -> InfrastructureError:
        """The error for something that failed here."""
        return InfrastructureError(self.hidden(what), self.where, self.hidden(remedy), fatal)

    def _request(self, messages: Any, tools: Any, response_format: Any, seed: int | None) -> Request:
        options = self.options
        settings = {"seed": seed, "temperature": options.temperature, "max_tokens": options.max_tokens}
        given = {name: value for name, value in settings.items() if value is not None}
        return request(self.name, messages, tools, response_format, given | dict(options.extra))

    def _recorded(self, asked: Request, tag: str) -> Reply | None:
        """The recorded answer; `None` where one is to be asked for."""
        return None if self.cassette is None else self.cassette.play(asked, tag)

    async def _answer(self, asked: Request, tag: str) -> Reply:
        """Ask when there is a place, unless too many have failed."""
        async with self._places:
            begun = asyncio.get_running_loop().time()
            if self._dead is not None:
                raise self.failure(*self._dead, fatal=True)
            try:
                reply = await self.ask(asked)
            except InfrastructureError as error:
                wrong = error
            else:
                self._failures = 0
                if self.cassette is not None:
                    self.cassette.add(asked, tag, reply)
                return reply
        raise self._counted(wrong, begun)

    def _counted(self, wrong: InfrastructureError, begun: float) -> InfrastructureError:
        """Count a failure; those that were under way together are one. After too many, nothing more is asked."""
        if isinstance(wrong, Unsupported):
            return wrong
        if begun >= self._failed_at:
            self._failures += 1
            self._failed_at = asyncio.get_running_loop().time()
        if wrong.fatal:
            self._dead = self._dead or (wrong.what, wrong.remedy)
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
                self._failures, self._failed_at, self._dead = 0, float("-inf"), None
            return self._background.submit(work)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, has connections of its own."""
        return type(self), (self.model, self.options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.where}>"
