"""Traces: an episode as one line of JSON, enough to recompute its reward and to play it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..envs.memory import Fact
from .base import Usage


class Step(msgspec.Struct, omit_defaults=True, gc=False):
    """One turn: what the agent did, what became visible, and what it paid."""

    action: Any
    """As the policy gave it: text, or the object; for what JSON cannot hold, what stands for it (see `encode`)."""
    reward: float
    terms: dict[str, float]
    facts: list[Fact]
    malformed: str = ""
    refused: str = ""
    violations: list[str] = []
    seconds: float = 0.0
    """How long the policy took; a timing."""


class Trace(msgspec.Struct, omit_defaults=True, gc=False):
    """An episode, whole; `seconds` and the steps' are the only fields that two runs may disagree on."""

    env: str
    """The environment's id, e.g. `StateSet/CustomerService-v0`."""
    scene: str
    trial: int
    """Which attempt of the policy at this scene, from 0."""
    policy: str
    versions: dict[str, str]
    arguments: dict[str, Any]
    """What the environment was made with."""
    kind: str
    par: int
    opening: list[Fact]
    messages: list[dict[str, str]]
    steps: list[Step]
    terms: dict[str, float]
    """The rewards of the steps, added up by term."""
    total: float
    """The return."""
    outcome: str
    """How it ended; "" where it did not, because something beside the agent failed."""
    success: bool
    truncated: bool = False
    options: dict[str, Any] = {}
    """What the policy was made with, where it was made by name; no key is told."""
    own: dict[str, Any] | None = None
    """The scene itself, where it is a user's own."""
    usage: Usage = msgspec.field(default_factory=Usage)
    seconds: float = 0.0
    """How long the episode took."""
    notes: list[str] = []
    """What the policy says of how it played."""
    error: str = ""
    """Why this was not measured; such an episode is in no mean."""

    @property
    def key(self) -> tuple[str, int]:
        """What tells the episodes of a run apart."""
        return self.scene, self.trial

    @property
    def measured(self) -> bool:
        """Whether the episode says anything about the policy."""
        return not self.error

    @property
    def violations(self) -> list[str]:
        """The house rules that were broken, in order."""
        return [rule for step in self.steps for rule in step.violations]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Trace)


def encode(trace: Trace) -> bytes:
    """The trace as a line."""
    line = bytearray()
    append(line, trace)
    return bytes(line)


def append(lines: bytearray, trace: Trace) -> None:
    """Put the trace as a line behind others."""
    size = len(lines)
    try:
        _encoder.encode_into(trace, lines, -1)
    except (TypeError, ValueError, OverflowError):
        del lines[size:]
        steps = [msgspec.structs.replace(step, action=_sayable(trace, n)) for n, step in enumerate(trace.steps)]
        _encoder.encode_into(msgspec.structs.replace(trace, steps=steps), lines, -1)
    lines += b"\n"


def _sayable(trace: Trace, number: int) -> Any:
    """An action as it was given; for what JSON cannot hold, the transcript's text, or `None` for what is no text."""
    action = trace.steps[number].action
    try:
        _encoder.encode(action)
    except (TypeError, ValueError, OverflowError):
        spoken = [message["content"] for message in trace.messages if message["role"] == "assistant"]
        return spoken[number] if isinstance(action, str) else None
    return action


def decode(line: bytes | str) -> Trace:
    """The trace that a line holds."""
    return _decoder.decode(line)


def read(path: Path | str) -> Iterator[Trace]:
    """The traces of a file; what is no trace is told with its line."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ValueError(f"{path}, line {number}, is no trace: {error}") from None


def timeless(trace: Trace) -> Trace:
    """The trace without its timings: what two runs of the same must agree on."""
    steps = [msgspec.structs.replace(step, seconds=0.0) for step in trace.steps]
    return msgspec.structs.replace(trace, steps=steps, seconds=0.0)


def facts_of(trace: Trace) -> list[list[Fact]]:
    """What became visible: at the start, and by each action."""
    return [trace.opening, *(step.facts for step in trace.steps)]


def split_of(scene: str) -> Mapping[str, str]:
    """The split and the difficulty that a scene's name tells; nothing for a user's own."""
    parts = scene.split("/")
    return {"split": parts[1], "difficulty": parts[2]} if len(parts) == 4 else {}
