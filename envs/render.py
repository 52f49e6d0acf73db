"""The transcript for eyes: a string, lines in the terminal, or a picture. rich and Pillow are imported where used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gymnasium.error import DependencyNotInstalled

from .blocks import LABEL, WIDTH, Block, Message, blocks, wrap

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"system": "dim", "customer": "cyan", "world": "yellow", "agent": "green"}


class Renderer:
    """Shows one environment's conversations; `title` names the environment."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._shown = 0
        self._console: Console | None = None

    def render(self, mode: str, messages: Sequence[Message], caption: str) -> Any:
        """The transcript in a mode: a string (`ansi`), a picture (`rgb_array`), or nothing (`human`: see `show`)."""
        if mode == "ansi":
            return transcript(messages, caption)
        return draw(messages, self.title, caption) if mode == "rgb_array" else None

    def show(self, messages: Sequence[Message], fresh: bool, caption: str = "") -> None:
        """Print to the terminal what is new since the last call; `fresh`: a new conversation begins."""
        console = self._terminal()
        if fresh or len(messages) < self._shown:  # fewer messages: a snapshot was restored
            self._shown = 0
            console.rule(self.title, style="dim")
        for block in blocks(messages[self._shown :]):
            console.print(_line(block, console.encoding))
        if caption:
            console.print(_encodable(caption, console.encoding), style="dim", markup=False, justify="right")
        self._shown = len(messages)

    def close(self) -> None:
        """Forget the terminal; nothing is held open."""
        self._console, self._shown = None, 0

    def _terminal(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False)
        return self._console


def transcript(messages: Sequence[Message], caption: str) -> str:
    """The transcript as plain text, a label before each speaker's words."""
    lines = [caption]
    for who, text in blocks(messages):
        rows = wrap(text, WIDTH - LABEL)
        lines += [f"{who:<{LABEL}}{rows[0]}", *(f"{'':<{LABEL}}{row}" for row in rows[1:])]
    return "\n".join(line.rstrip() for line in lines)


def draw(messages: Sequence[Message], title: str, caption: str) -> Any:
    """The transcript as a picture: a NumPy array of shape (height, width, 3)."""
    try:
        from .drawing import picture
    except ModuleNotFoundError as error:
        raise DependencyNotInstalled(
            "render_mode='rgb_array' draws with Pillow, which is not installed: "
            'run pip install "stateset-gym[render]", or choose another render_mode.'
        ) from error
    return picture(blocks(messages), title, caption)


def _line(block: Block, encoding: str) -> Any:
    """A block for the terminal: a coloured label, then the words. Never markup: agents may write brackets."""
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=LABEL - 1)
    row.add_column()
    style = STYLES[block.who]
    row.add_row(Text(block.who, style=f"bold {style}"), Text(_encodable(block.text, encoding), style=style))
    return row


def _encodable(text: str, encoding: str) -> str:
    """A text that the terminal can show: characters that it lacks become question marks."""
    return text.encode(encoding, "replace").decode(encoding)
