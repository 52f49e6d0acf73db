"""The policy of a person at a terminal."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from ...envs.actions import Action
from ...envs.conversation import Observation
from ...envs.memory import Fact
from ...envs.parse import Malformed, Parser
from ..base import Kind, Remembering
from .form import YES_OR_NO, Form, Question
from .keyboard import Complete, Keyboard
from .known import Known
from .screen import COMMANDS, Screen, shown
from .typed import Words, completions


class Quit(KeyboardInterrupt):
    """Whoever plays has had enough; to a run it is what Ctrl-C is."""


class Back(Exception):
    """The action that was being typed is given up."""


class Human(Remembering):
    """A person at a terminal: sees the transcript, types actions.

    `console` is where the game is shown, `input` asks for a line (given a prompt, `EOFError` at the end); by default
    the terminal with completion and history, or whatever standard input is piped from.
    """

    def __init__(self, kind: Kind, console: Console | None = None, input: Callable[[str], str] | None = None) -> None:
        self._kind, self._actions = kind, kind.parts.actions
        self._parser = Parser(self._actions)
        self.screen = Screen(console or Console(highlight=False))
        self._keys = Keyboard(self.screen.console, input)
        super().__init__()

    def reset(self, seed: int | None = None) -> None:
        """A conversation begins."""
        super().reset(seed)
        self._invalid: Any = None
        self._new = True
        self._facts: Sequence[Fact] = ()
        self.screen.forget()

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """What the person does."""
        self._facts = facts
        return super().act(observation, facts)

    def choose(self, observation: Observation) -> Any:
        """Show what is new, and ask until there is an action."""
        if self._new:
            self.screen.opening(self._kind.parts.name)
            self._new = False
        messages = observation["messages"]
        self.screen.heard(messages, self._facts)
        read = "\n".join(message["content"] for message in messages if message["role"] == "user")
        self._known = Known(self._actions, self.memory, read)
        for agreed in self.memory.agreed:
            self.screen.note(f"Agreed, and yet to be done: {shown(agreed)}  (do)")
        prompt = f"turn {observation['turn'] + 1}, {observation['turns_left']} left > "
        while True:
            try:
                given = self._typed(prompt)
            except Back:
                self.screen.note("  Left; nothing was done.")
                continue
            if given is not None:
                return given

    def _typed(self, prompt: str) -> Any:
        """What a line stands for: an action, or a text that is sent as it is; `None` where it was a command."""
        try:
            line = self._line(prompt, self._completions, words=True)
        except Back:
            self.screen.note("Type quit to end the game.")
            return None
        if line.startswith("!"):
            return self._insisted(line[1:].strip())
        if line.startswith("{"):
            return self._checked(self._whole(line))
        name, _, rest = line.partition(" ")
        if self._command(name.lower(), rest.strip()):
            return None
        if name.lower() == "do" and not rest:
            return self._agreed()
        found = self._named(name)
        return None if found is None else self._filled(found, rest)

    def _line(self, prompt: str, complete: Complete, words: bool = False) -> str:
        """A line; at the end of the input the game ends, and Ctrl-C leaves what is being typed."""
        try:
            return self._keys.ask(prompt, complete, words)
        except EOFError:
            raise Quit from None
        except KeyboardInterrupt:
            self.screen.console.print()
            raise Back from None

    def _completions(self, line: str) -> list[str]:
        commands = [name for name in COMMANDS if name.isalpha() or name == "?"]
        return completions(line, self._actions, commands, self._known.offers)

    def _command(self, name: str, rest: str) -> bool:
        """Whether a line was a command of the game."""
        if name in ("?", "help"):
            kind = self._actions.by_name.get(rest)
            self.screen.action(self._actions, kind) if kind else self.screen.help(self._actions)
        elif name in ("quit", "exit"):
            raise Quit
        elif name == "rules":
            self.screen.text(self._kind.parts.brief("brief"))
        elif name == "memory":
            self.screen.memory(self.memory)
        elif name == "":
            self.screen.note("Type the name of an action; ? lists them.")
        elif name != "back":
            return False
        return True

    def _named(self, name: str) -> str | None:
        """The action that is meant by a name or by its beginning."""
        if name in self._actions.by_name:
            return name
        near = [known for known in self._actions.names if known.startswith(name.lower())]
        if len(near) == 1:
            return near[0]
        near = near or difflib.get_close_matches(name, self._actions.names, 3)
        meant = f" Did you mean {' or '.join(near)}?" if near else " ? lists them."
        self.screen.wrong(f"{name!r} is no action.{meant}")
        return None

    def _filled(self, name: str, rest: str) -> Any:
        """The action, its fields taken from the rest of the line, and asked for where that does not hold them."""
        words = Words(rest)
        form = Form(self._actions, lambda question: self._answer(question, words), self._known.offers)
        action = form.fill(name)
        if words.left:
            self.screen.wrong(f"{name} has no use for {words.left!r}; ? {name} shows its fields.")
            return None
        if form.insisted:
            return self._final(action)
        return self._checked(action)

    def _answer(self, question: Question, words: Words) -> str:
        """The answer to a question: from the line, or else from whoever plays."""
        if question.wrong:
            words.drop()
            self.screen.wrong(question.wrong)
        else:
            answer = words.take(question)
            if answer is not None:
                return answer
            if words.given and question.optional:
                return ""
            self.screen.options(question)
        return self._asked(question)

    def _asked(self, question: Question) -> str:
        names = [offer.text for offer in question.offers]
        while True:
            line = self._line(_prompt(question), lambda _: names)
            if line == "back":
                raise Back
            if line == "?":
                self.screen.note(f"  {question.path}: {question.kind}. back leaves this action, ! insists on a value.")
                self.screen.options(question)
            elif line not in ("memory", "rules", "quit"):
                return line
            else:
                self._command(line, "")

    def _whole(self, text: str) -> str:
        """A JSON object, which may go on over several lines; an empty line ends it."""
        while True:
            try:
                json.loads(text)
            except RecursionError:
                return text
            except json.JSONDecodeError as error:
                if error.pos < len(text.rstrip()) and not error.msg.startswith("Unterminated"):
                    return text
            else:
                return text
            more = self._line("... ", lambda _: ())
            if not more:
                return text
            text += f"\n{more}"

    def _checked(self, given: Any) -> Any:
        """The action that is given; where it is none, the reason is told and no turn is spent."""
        action = self._parser.parse(given)
        if not isinstance(action, Malformed):
            return action
        self._invalid = given
        self.screen.wrong(action.reason)
        self.screen.note("  Nothing was sent; ! sends it all the same.")
        return None

    def _insisted(self, text: str) -> Any:
        if not text and self._invalid is None:
            self.screen.note("There is nothing to insist on: ! sends what was found to be no valid action.")
            return None
        return self._final(text or self._invalid)

    def _final(self, given: Any) -> Any:
        """What is sent, valid or not."""
        self._invalid = None
        action = self._parser.parse(given)
        return given if isinstance(action, Malformed) else action

    def _agreed(self) -> Action | None:
        if len(self.memory.agreed) == 1:
            agreed: Action = next(iter(self.memory.agreed))
            return agreed
        self.screen.wrong(
            "The customer has agreed to nothing that is yet to be done."
            if not self.memory.agreed
            else "The customer has agreed to several actions: type the one that is meant."
        )
        return None


def _prompt(question: Question) -> str:
    if question.kind == YES_OR_NO:
        return f"  {question.path}: {question.about} (y/n) [Enter: {question.blank}]: "
    kind = "" if question.closed or question.kind == "text" else f" ({question.kind})"
    if question.blank is None:
        return f"  {question.path}{kind}: "
    return f"  {question.path}{kind} [Enter: {question.blank}]: "
