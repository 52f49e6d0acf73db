"""HTTP as the SDKs are to use it, and what their errors mean; both are built on httpx2."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import ssl
from typing import Any, TypeVar

import httpx2
import msgspec

from .errors import InfrastructureError
from .hosted import Endpoint, NotFound, Unsupported, hiding

T = TypeVar("T")
LONG_KEY = 12
"""Characters of a key that is no word: some servers are content with `none`, which an answer may hold."""
LARGEST = 4_000_000
"""The bytes of an answer; no model writes as many."""
CONNECT = 10.0
"""The seconds in which a server must take a connection."""
NOTHING = re.compile(r"(?!)")
OVERSIZE = b"x-stateset-gym-oversize"

REMEDIES = {
    401: "check the key: api_key=... or VARIABLE.",
    402: "see that the account can pay.",
    403: "check what the key gives access to.",
    404: "check the model's name and the address: base_url=...",
    413: "ask with a shorter conversation.",
    429: "ask for less at once (concurrency=...), or wait longer for it (retries=...).",
}
CHECK = "check that base_url is the address of such a server, and whether it is well."
ASKING = "change what is asked for; extra={...} adds a parameter, or takes out one that is None there."
LATER = "see whether the server is well, and go on with the run then."
CUT_OFF = (401, 402)
"""Statuses with which any other request would be answered as well."""
FEATURE = re.compile(r"response_format|json_schema|json mode|structured|guided|output_config|\btools?\b|tool_choice")
REJECTED = re.compile(
    r"not (yet )?(supported|available|permitted|allowed|implemented|enabled)|unsupported|unavailable|unknown|requires"
    r"|unrecognized|unexpected|extra (inputs|fields)|(does|do)(n't| not) support|no support|invalid(?!_request)"
)
TOO_MUCH = re.compile(
    r"\btokens\b|max_\w*tokens|context[ _-](length|window|size)|rate limit|(prompt|input|messages?) (is|are) too long"
)
"""Words of a complaint about how much was asked, not about how."""


class Client(httpx2.AsyncClient):
    """Reads answers whole, within a time from the first byte to the last, and up to a size."""

    def __init__(self, timeout: float) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        patience = httpx2.Timeout(timeout, connect=min(timeout, CONNECT))
        super().__init__(timeout=patience, limits=limits, follow_redirects=True, verify=_tls())
        self._seconds = timeout

    async def send(self, request: httpx2.Request, *, stream: bool = False, **more: Any) -> httpx2.Response:
        """Send a request; an answer that drips or swells is not waited for."""
        try:
            async with asyncio.timeout(self._seconds):
                response = await super().send(request, stream=True, **more)
                try:
                    return await _whole(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise httpx2.ReadTimeout("the answer is not whole in time", request=request) from None


@functools.cache
def _tls() -> ssl.SSLContext:
    """What all connections trust; to read the certificates takes as long as to ask a server nearby."""
    return httpx2.create_ssl_context()


async def _whole(response: httpx2.Response) -> httpx2.Response:
    """The answer with its body, or without one where it is too large."""
    body = bytearray()
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in ENCODED]
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            body.clear()
            headers.append((OVERSIZE, b"1"))
            break
    return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


ENCODED = (b"content-encoding", b"content-length", b"transfer-encoding", OVERSIZE)
"""Headers that are true of the bytes on the wire only."""


def body_of(endpoint: Endpoint, response: httpx2.Response) -> bytes:
    """The bytes of an answer."""
    if OVERSIZE.decode() in response.headers:
        raise endpoint.failure(f"the answer has more than {LARGEST:,} bytes", LATER)
    return response.content


def read(endpoint: Endpoint, body: bytes, kind: type[T]) -> T:
    """A body as a type, without the keys, even if a server sends one back; what is none is the server's failure."""
    try:
        # Not msgspec's decoder: it takes half a character, which a model may well write, for a broken body.
        return msgspec.convert(_without_keys(endpoint, json.loads(body)), kind)
    except (ValueError, RecursionError) as error:
        why = clipped(endpoint.hidden(str(error)), 100)
        shown = clipped(endpoint.hidden(body[:2000].decode("utf-8", "backslashreplace")), 100)
    raise endpoint.failure(f"the answer is no reply of a model ({why}): {shown!r}", CHECK)


def _without_keys(endpoint: Endpoint, value: Any) -> Any:
    """A decoded body without the keys; those that are words are left, since an answer may hold them."""
    pattern = hiding(key for key in endpoint.keys if len(key) >= LONG_KEY)
    return _replaced(pattern or NOTHING, value)


def _replaced(pattern: re.Pattern[str], value: Any) -> Any:
    if isinstance(value, str):
        return pattern.sub("***", value)
    if isinstance(value, dict):
        return {pattern.sub("***", name): _replaced(pattern, item) for name, item in value.items()}
    return [_replaced(pattern, item) for item in value] if isinstance(value, list) else value


def count(value: Any) -> int | None:
    """A number of tokens, if it is one."""
    return value if type(value) is int and 0 <= value < 1 << 53 else None


def failure(sdk: Any, endpoint: Endpoint, error: Exception) -> InfrastructureError:
    """What an error of an SDK means."""
    if isinstance(error, sdk.APIStatusError):
        return _status(endpoint, error)
    if isinstance(error, sdk.APITimeoutError):
        remedy = "ask for less at once (concurrency=...), or wait longer (timeout=...)."
        return endpoint.failure(f"no whole answer within {endpoint.options.timeout:g} s", remedy)
    if isinstance(error, sdk.APIConnectionError):
        cause = error.__cause__ or error
        text = f"no connection ({type(cause).__name__}: {clipped(endpoint.hidden(str(cause)))})"
        return endpoint.failure(text, "see that the server runs, and check the address: base_url=...")
    what = f"{type(error).__name__}: {clipped(endpoint.hidden(str(error)))}"
    return endpoint.failure(what, "check the key and the options.", fatal=not isinstance(error, sdk.APIError))


def _status(endpoint: Endpoint, error: Any) -> InfrastructureError:
    """What a status means that is no success."""
    status, text = told(error)
    what = f"status {status}" + (f": {clipped(endpoint.hidden(text))}" if text else "")
    lower = text.lower()
    rejected = FEATURE.search(lower) and REJECTED.search(lower) and not TOO_MUCH.search(lower)
    if status in (400, 422, 501) and rejected:
        return Unsupported(endpoint.hidden(what), endpoint.where, "ask in another style, e.g. style='text'.")
    spent = "insufficient_quota" in lower or "credit balance" in lower
    remedy = REMEDIES.get(status, LATER if status >= 500 or status < 400 else ASKING)
    if spent:
        remedy = REMEDIES[402]
    if status == 404:
        return NotFound(endpoint.hidden(what), endpoint.where, remedy, fatal=True)
    return endpoint.failure(what, remedy.replace("VARIABLE", endpoint.variables[0]), status in CUT_OFF or spent)


def told(error: Exception) -> tuple[int, str]:
    """The status of an error and what the server says of it: message, code, parameter; nothing of a page of HTML.

    Its type is told only where nothing else is: `invalid_request_error` says nothing of what is invalid.
    """
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict):
        parts = (inner.get(name) for name in ("message", "code", "param", "detail"))
        text = "; ".join(dict.fromkeys(str(part) for part in parts if part)) or str(inner.get("type") or "")
    else:
        text = inner if isinstance(inner, str) and not inner.lstrip().startswith("<") else ""
    return int(getattr(error, "status_code", 0)), text


def clipped(text: str, most: int = 300) -> str:
    """A text as one short line."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}..."
