"""What an endpoint is made with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint is made with, beside the model; `endpoint` tells what each means."""

    base_url: str | None = None
    api_key: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float = 60.0
    retries: int = 2
    concurrency: int = 16
    breaker: int = 3
    extra: Mapping[str, Any] = {}
    cassette: str | os.PathLike[str] | None = None
    record: bool | Literal["missing"] = False

    def __post_init__(self) -> None:
        for name, least in (("retries", 0), ("concurrency", 1), ("breaker", 1), ("max_tokens", 1)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ValueError(f"{name}={value!r} must be a whole number from {least} up.")
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, int | float) or not 0 < self.timeout < 1e9:
            raise ValueError(f"timeout={self.timeout!r} must be a number of seconds above 0.")
        if self.record not in (False, True, "missing"):
            raise ValueError(f"record={self.record!r} is not known: choose one of False, True, 'missing'.")
        if self.record and self.cassette is None:
            raise ValueError(f"record={self.record!r} needs a file to record to: cassette=PATH.")

    def __repr__(self) -> str:
        return "Options(...)"  # the key is one of them

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, is made without the key: what is pickled may be written anywhere."""
        return _made, (msgspec.structs.asdict(self) | {"api_key": None},)


def _made(fields: dict[str, Any]) -> Options:
    return Options(**fields)


def check_address(address: str) -> None:
    """Raise `ValueError` for what is no address, and for one that holds more: that may be secret, and is not shown."""
    if any(sign in address for sign in "@?#"):
        raise ValueError(
            "base_url holds a user, a password or a query (an '@', '?' or '#'), which is not shown here: "
            "write the bare address, like http://127.0.0.1:8000/v1, and give the key as api_key=..."
        )
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(f"base_url={address!r} is no address: write one like http://127.0.0.1:8000/v1.")
