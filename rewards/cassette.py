"""Cassettes: a hosted model's answers in a file, so that a test of it runs offline, and exactly."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, Literal

from .errors import InfrastructureError
from .messages import Reply, Request
from .tape import Entry, Key, Note, Writer, digest_of, read

SHOWN = 60
"""Characters of a text that an error shows from where it differs."""


class Cassette:
    """Answers by their requests, whatever the order in which they are asked for; safe in any number of threads.

    A recording goes to a file beside it as it comes, so that nothing that was paid for is lost; `close` sorts it
    and puts it in its place.
    """

    def __init__(self, path: Path, record: bool | Literal["missing"] = False) -> None:
        self.path, self.record = path, record
        self._beside = path.with_name(f"{path.name}.recording")
        self._guard = threading.RLock()
        self._entries: dict[Key, Entry] = {}
        self._notes: dict[str, str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._file: IO[bytes] | None = None
        self._owner = os.getpid()
        if record is False or (record == "missing" and path.exists()):
            self._load()

    def play(self, asked: Request, tag: str, once: bool = False) -> Reply | None:
        """The recorded answer; `None` where one is to be asked for. With `once` equal requests have one answer."""
        with self._guard:
            if once and (known := self._entries.get(Key(tag, digest_of(asked), 0))):
                return known.reply
            if self.record is not True:
                key = self._key(asked, tag)
                if key in self._entries:
                    self._counts[key[:2]] += 1
                    return self._entries[key].reply
                if self.record is False:
                    raise self._missing(asked, key)
            self._open()
            return None

    def add(self, asked: Request, tag: str, reply: Reply, once: bool = False) -> Reply:
        """Keep an answer; of equal requests in one conversation in their order, or with `once` the first."""
        with self._guard:
            entry = Entry(Key(tag, digest_of(asked), 0) if once else self._key(asked, tag), asked, reply)
            if once and (known := self._entries.get(entry.key)):
                return known.reply
            self._open()
            self._counts[entry.key[:2]] += not once
            self._entries[entry.key] = entry
            self._write(self._writer.entry(entry))
            return reply

    def recall(self, name: str) -> str | None:
        """What was noted under a name, where answers are played."""
        return None if self.record is True else self._notes.get(name)

    def note(self, name: str, value: str) -> None:
        """Note something, where answers are recorded."""
        with self._guard:
            if self.record is not False and self._notes.get(name) != value:
                self._open()
                self._notes[name] = value
                self._write(self._writer.note(name, value))

    def rewind(self, tag: str) -> None:
        """A conversation begins anew: count its requests from the first."""
        with self._guard:
            for key in [key for key in self._counts if key[0] == tag]:
                del self._counts[key]

    def close(self) -> None:
        """Put what was recorded in its place, sorted, so that two recordings differ only where answers do.

        In a process that was forked off the recording one it does nothing: the recording is the other's to finish.
        """
        with self._guard:
            if self._file is None or self._inherited:
                return
            self._file.close()
            self._file = None
            sorted_ = self._beside.with_suffix(".sorted")
            sorted_.write_bytes(b"".join(self._lines(Writer())))
            os.replace(sorted_, self.path)
            self._beside.unlink(missing_ok=True)

    @property
    def _inherited(self) -> bool:
        """Whether the open recording is that of the process that this one was forked off."""
        return self._file is not None and self._owner != os.getpid()

    def _key(self, asked: Request, tag: str) -> Key:
        digest = digest_of(asked)
        return Key(tag, digest, self._counts[tag, digest])

    def _load(self) -> None:
        try:
            with self.path.open("rb") as file:
                for found in read(file):
                    if isinstance(found, Note):
                        self._notes[found.name] = found.value
                    else:
                        self._entries[found.key] = found
        except OSError as error:
            raise self._failure(f"there is no cassette to play: {error.strerror}") from None
        except ValueError as error:
            raise self._failure(str(error)) from None

    def _open(self) -> None:
        """Begin to record, with what there is; only one may record at a time."""
        if self._inherited:
            what = "it is being recorded by the process that this one was forked off"
            remedy = "record in one process, or give each a cassette of its own, made after the fork."
            raise InfrastructureError(what, str(self.path), remedy, fatal=True)
        if self._file is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file, self._owner = self._beside.open("xb"), os.getpid()
        except FileExistsError:
            remedy = (
                f"record in one place at a time; rename it to {self.path.name} to keep what it holds, or delete it."
            )
            what = "it is being recorded elsewhere, or a recording was interrupted"
            raise InfrastructureError(what, str(self._beside), remedy, fatal=True) from None
        self._writer = Writer()
        self._write(b"".join(self._lines(self._writer)))

    def _write(self, lines: bytes) -> None:
        assert self._file is not None
        self._file.write(lines)
        self._file.flush()

    def _lines(self, writer: Writer) -> Iterable[bytes]:
        yield from (writer.note(*note) for note in sorted(self._notes.items()))
        yield from map(writer.entry, sorted(self._entries.values(), key=_place))

    def _missing(self, asked: Request, key: Key) -> InfrastructureError:
        """What differs from the nearest request that was recorded."""
        if key.number:
            times = "once" if key.number == 1 else f"{key.number} times"
            return self._failure(f"the request is recorded {times} in {key.tag!r}, and is made once more")
        here = [entry for entry in self._entries.values() if entry.key.tag == key.tag]
        nearest = max(here or self._entries.values(), key=lambda entry: _likeness(asked, entry.asked), default=None)
        if nearest is None:
            return self._failure("nothing is recorded")
        known = "" if here else f", of which nothing is recorded (but of {nearest.key.tag!r})"
        difference = _difference(asked, nearest.asked) or "nothing but the conversation"
        return self._failure(f"a request of {key.tag!r}{known} is not recorded; what differs: {difference}")

    def _failure(self, what: str) -> InfrastructureError:
        return InfrastructureError(what, str(self.path), "record it, with record=True or record='missing'.", fatal=True)


def _place(entry: Entry) -> tuple[str, int, Key]:
    return entry.key.tag, len(entry.asked.messages), entry.key


def _likeness(asked: Request, other: Request) -> tuple[int, int, int]:
    """How many messages are the same from the first on, then how much of the rest is."""
    same = [mine == theirs for mine, theirs in zip(asked.messages, other.messages, strict=False)]
    prefix = same.index(False) if False in same else len(same)
    rest = sum(getattr(asked, name) == getattr(other, name) for name in FIELDS)
    return prefix, rest, -abs(len(asked.messages) - len(other.messages))


FIELDS = ("model", "settings", "tools", "response_format")


def _difference(asked: Request, other: Request) -> str:
    found = [_field(name, getattr(asked, name), getattr(other, name)) for name in FIELDS]
    for number, (mine, theirs) in enumerate(zip(asked.messages, other.messages, strict=False), 1):
        if mine != theirs:
            found.append(f"message {number}, {_message(mine, theirs)}")
            break
    else:
        if len(asked.messages) != len(other.messages):
            found.append(f"{len(asked.messages)} messages, recorded with {len(other.messages)}")
    return "; ".join(filter(None, found))


def _field(name: str, mine: Any, theirs: Any) -> str:
    if mine == theirs:
        return ""
    return name if name in ("tools", "response_format") else f"{name} {mine!r}, recorded as {theirs!r}"


def _message(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    name = next(name for name in (*mine, *theirs) if mine.get(name) != theirs.get(name))
    one, other = str(mine.get(name)), str(theirs.get(name))
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    start = max(0, same - SHOWN // 3)
    return f"{name} {one[start : start + SHOWN]!r}, recorded as {other[start : start + SHOWN]!r}"
