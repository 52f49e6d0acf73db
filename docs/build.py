"""Write the pages that are made from the code: python docs/build.py [--check].

The pages of the environments are their docstrings, the hard conversations are played by the expert, and the schemas are
those that check a user's files.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium

from stateset_gym import policies
from stateset_gym.envs.customer_service.scenes import SCENE_SCHEMA
from stateset_gym.envs.customer_service.store import STORE_SCHEMA
from stateset_gym.policies.registry import kind_of

HERE = Path(__file__).resolve().parent
ID = "StateSet/CustomerService-v0"
NOTICE = "<!-- Made by docs/build.py from the code; change it there. -->"
SEARCHED = 20_000
"""How many scenes are looked through for one of the hard conversations."""


class Case(NamedTuple):
    """A conversation worth reading: what makes it hard, and what a scene must have to show it."""

    title: str
    note: str
    kind: str
    shows: Callable[[Any], bool]


def _first(plot: Any) -> Any:
    return plot.requests[0]


CASES = (
    Case(
        "Neither e-mail address nor order number",
        "The customer knows only who they are and what they bought. The agent must ask for what they do not have "
        "before it learns so, authenticate them by name and postcode, and then read their orders until one holds "
        "the product.",
        "exchange_items",
        lambda plot: "email" in plot.person.unknown and "order_id" in _first(plot).knows.unknown,
    ),
    Case(
        "Both told wrongly",
        "The first e-mail address leads to nobody, and the first order number to an order without the product. "
        "Neither is refused: the agent must see from a result that something does not fit, and ask for it again.",
        "cancel_order",
        lambda plot: "email" in plot.person.mistakes and "order_id" in _first(plot).knows.mistakes,
    ),
    Case(
        "A change of mind at the last moment",
        "The proposal is just what was asked for, and then it is not. What was agreed is what counts: the change "
        "must be put anew, and only the second one may be made.",
        "change_items",
        lambda plot: _first(plot).goal.first is not None and len(plot.temper.drifts) > 0,
    ),
    Case(
        "Three requests, and the last one must be declined",
        "The customer says at the start how many things they want, and voices them one by one. Two are served. By "
        "the third the agent is used to serving, and this one the rules forbid.",
        "several",
        lambda plot: len(plot.requests) == 3 and bool(plot.requests[-1].goal.rule),
    ),
    Case(
        "A refusal that is not taken for an answer",
        "The order is already delivered, so nothing can be cancelled or changed. The customer insists, twice; to "
        "give in, to hand over or to offer a return would all be wrong. The refusal must be said again, with the "
        "same rule.",
        "not_pending",
        lambda plot: plot.temper.push_backs == 2,
    ),
    Case(
        "A gift card that does not cover it",
        "Nothing in the order says so. The agent has to read the customer's record, see which card is meant, and "
        "compare its balance with the order's total before it answers.",
        "gift_card_too_small",
        lambda plot: plot.temper.talk == "talkative" and "order_id" in _first(plot).knows.unknown,
    ),
    Case(
        "Sold out",
        "The wish is reasonable, the order is right, and the variant exists. That it is not available shows only "
        "once the product has been read. Another variant was not asked for, and to propose one costs patience.",
        "unavailable",
        lambda plot: plot.temper.talk == "curt" and plot.temper.push_backs > 0,
    ),
    Case(
        "One refund to two methods",
        "The customer wants the money back on two payment methods. Each alone might do; together they break a rule, "
        "and the agent must notice that the answer to its question holds two.",
        "refund_method",
        lambda plot: isinstance(_first(plot).knows.values.get("payment_method"), list),
    ),
    Case(
        "Somebody else's order",
        "The customer is who they say they are, and the order number exists. The order is another customer's: the "
        "agent sees everything about it, must tell nothing of it, and must say why it declines.",
        "not_your_order",
        lambda plot: plot.temper.push_backs > 0 and "email" in plot.person.unknown,
    ),
    Case(
        "Nothing that the desk can do",
        "No action serves this request, and only then is a human agent right. The customer must be authenticated "
        "first, and wanders off topic on the way there, so a question has to be asked again without losing the "
        "thread.",
        "out_of_scope",
        lambda plot: len(plot.temper.drifts) == 2 and plot.temper.typos > 0 and "email" in plot.person.unknown,
    ),
)


def environment_page(env_id: str) -> str:
    """The page of an environment: its docstring, and its actions as the agent is told them."""
    kind = kind_of(env_id)
    actions = kind.parts.actions.prompt()
    head = f"{NOTICE}\n\n# {env_id}\n\n{inspect.getdoc(kind)}\n"
    return f"{head}\n## The actions as the agent is told them\n\n```text\n{actions}\n```\n"


def conversations_page() -> str:
    """The hard conversations, each played by the expert without a fault."""
    intro = (
        f"{NOTICE}\n\n# Ten hard conversations\n\n"
        f"The scripted expert plays scenes of `{ID}`, difficulty hard, test split. "
        "It acts on what it was shown and on nothing else, and each conversation ends with a return of exactly 1. "
        '`env.reset(options={"scene": NAME})` plays one of them.\n'
    )
    env = gymnasium.make(ID, split="test", difficulty="hard")
    return "\n".join([intro, *(conversation(env, number, case) for number, case in enumerate(CASES, 1))])


def conversation(env: gymnasium.Env[Any, Any], number: int, case: Case) -> str:
    """One conversation with its note."""
    name = scene_of(env, case)
    episode = policies.rollout(policies.make("expert", env), env, scene=name)
    if episode.total != 1:
        raise SystemExit(f"The expert's return on {name} is {episode.total}, not 1.")
    told = "\n".join(f"- {line}" for message in episode.messages[1:] for line in spoken(message))
    about = f"Scene `{name}`, {episode.turns} turns (par {episode.par})."
    return f"## {number}. {case.title}\n\n{case.note}\n\n{about}\n\n{told}\n"


def scene_of(env: gymnasium.Env[Any, Any], case: Case) -> str:
    """The first scene that shows a case."""
    parts = kind_of(env).parts
    cycle = parts.cycles["hard"]
    for index in range(SEARCHED):
        name = f"{parts.name}/test/hard/{index:06d}"
        if cycle[index % len(cycle)] == case.kind and case.shows(parts.build(name).plot):
            return name
    raise SystemExit(f"None of {SEARCHED} scenes shows {case.title!r}: ask for less in CASES.")


def spoken(message: dict[str, str]) -> list[str]:
    """A message line by line: what the agent does, what the desk shows, what the customer says."""
    if message["role"] == "assistant":
        return [f"**Agent:** `{message['content']}`"]
    lines = message["content"].split("\n")
    return [f"**Desk:** `{line}`" if line.startswith("[") else f"**Customer:** {line}" for line in lines]


def schema(value: dict[str, Any]) -> str:
    """A schema file."""
    return f"{json.dumps(value, indent=2, sort_keys=True)}\n"


def pages() -> dict[str, str]:
    """Every page that is made from the code: file name -> text."""
    ids = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))
    found = {f"envs/{name.removeprefix('StateSet/')}.md": environment_page(name) for name in ids}
    found["hard-conversations.md"] = conversations_page()
    return found | {"store.schema.json": schema(STORE_SCHEMA), "scene.schema.json": schema(SCENE_SCHEMA)}


def outdated() -> dict[str, str]:
    """The pages that are not as they would be made now."""
    made = pages()
    return {
        name: text
        for name, text in made.items()
        if not (HERE / name).exists() or (HERE / name).read_text(encoding="utf-8") != text
    }


def main() -> int:
    """Write the pages; with `--check`, name those that are out of date and write none."""
    changed = outdated()
    for name, text in changed.items():
        print(f"docs/{name}")
        if "--check" not in sys.argv[1:]:
            (HERE / name).parent.mkdir(parents=True, exist_ok=True)
            (HERE / name).write_text(text, encoding="utf-8")
    return int(bool(changed) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
