"""Hosted models by their address: one way to ask them, whoever serves them, offline from a cassette too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from .errors import InfrastructureError
from .hosted import Endpoint, Unsupported
from .messages import Call, Reply
from .options import Options

__all__ = ["Call", "Endpoint", "InfrastructureError", "Reply", "Unsupported", "endpoint"]


def endpoint(
    address: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    timeout: float = 60.0,
    retries: int = 2,
    concurrency: int = 16,
    breaker: int = 3,
    extra: Mapping[str, Any] | None = None,
    cassette: str | os.PathLike[str] | None = None,
    record: bool | Literal["missing"] = False,
) -> Endpoint:
    """The endpoint for `openai:MODEL`, on any server that speaks OpenAI's protocol, or for `anthropic:MODEL`.

    `base_url` and `api_key` are by default what the variables OPENAI_BASE_URL and OPENAI_API_KEY hold (or
    ANTHROPIC_...); an address is bare, without user or query. What is `None` is left to the server. `timeout` is that
    of an attempt, in seconds, from its first byte to its last; `retries` are the SDK's, which waits between them as the
    server asks. At most `concurrency` requests are under way at once, and after `breaker` failures in a row nothing
    more is asked for half a minute; then one request finds out whether the server is well again. `extra` goes into each
    request as it is; with a value of `None` it takes a parameter out. A pickled endpoint is without its `api_key`.

    With a `cassette`, answers are played from that file, and neither a key nor an SDK is needed; `record=True` writes
    the file anew, and `record="missing"` asks for what it does not hold, and adds it.
    """
    provider, _, model = address.partition(":")
    if not model:
        raise ValueError(f"Endpoint {address!r} is not whole: write openai:MODEL or anthropic:MODEL.")
    options = Options(
        base_url=base_url,
        api_key=api_key,
        temperature=temperature,
        max_tokens=max_tokens,
        timeout=timeout,
        retries=retries,
        concurrency=concurrency,
        breaker=breaker,
        extra=dict(extra or {}),
        cassette=cassette,
        record=record,
    )
    if provider == "openai":
        from .openai import OpenAIEndpoint

        return OpenAIEndpoint(model, options)
    if provider == "anthropic":
        from .anthropic import AnthropicEndpoint

        return AnthropicEndpoint(model, options)
    raise ValueError(f"Endpoint {address!r} is of no known provider: write openai:MODEL or anthropic:MODEL.")
