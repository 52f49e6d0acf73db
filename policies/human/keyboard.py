"""A line from whoever plays: with completion and history in a terminal, or from a pipe, or from a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rich.console import Console

Complete = Callable[[str], Sequence[str]]
"""The line so far -> what the word at its end may become."""


class Keyboard:
    """Asks for lines. The end of the input is an `EOFError`, Ctrl-C a `KeyboardInterrupt`."""

    def __init__(self, console: Console, read: Callable[[str], str] | None = None) -> None:
        self.console = console
        self._read = read or (self._typed if sys.stdin.isatty() and console.is_terminal else self._piped)
        self._complete: Complete = lambda line: ()
        self._words = True

    def ask(self, prompt: str, complete: Complete, words: bool = False) -> str:
        """A line, without what is around it; `words`: it is completed word by word, not as a whole."""
        self._complete, self._words = complete, words
        return self._read(prompt).encode("utf-8", "replace").decode().strip()

    def _piped(self, prompt: str) -> str:
        """A line of a pipe; it is shown, as nobody has seen it being typed."""
        self.console.print(prompt, end="", markup=False, highlight=False, soft_wrap=True)
        line = sys.stdin.readline()
        self.console.print(line.strip() if line else "", markup=False, highlight=False, soft_wrap=True)
        if not line:
            raise EOFError
        return line

    def _typed(self, prompt: str) -> str:
        try:
            import readline
        except ImportError:  # not on Windows
            return input(prompt)
        with _completing(readline, self._candidates, " \t" if self._words else ""):
            return input(self._coloured(prompt))

    def _coloured(self, prompt: str) -> str:
        """The prompt in bold; what has no width is marked, so that readline counts right."""
        if self.console.color_system is None or self.console.no_color:
            return prompt
        return f"\001\033[1m\002{prompt}\001\033[0m\002"

    def _candidates(self, word: str, line: str) -> list[str]:
        found = [text for text in self._complete(line) if text.lower().startswith(word.lower())]
        return [f"{found[0]} "] if self._words and len(found) == 1 else found


@contextmanager
def _completing(readline: ModuleType, candidates: Callable[[str, str], list[str]], delimiters: str) -> Iterator[None]:
    """Let Tab complete in this one line, and leave the completion of others as it was."""
    before = readline.get_completer(), readline.get_completer_delims()
    found: list[str] = []

    def complete(word: str, number: int) -> Any:
        if number == 0:
            found[:] = candidates(word, readline.get_line_buffer()[: readline.get_endidx()])
        return found[number] if number < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(delimiters)
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    try:
        yield
    finally:
        readline.set_completer(before[0])
        readline.set_completer_delims(before[1])
