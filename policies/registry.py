"""Policies by name: our own, those of an environment, models by their address, and what other packages bring."""

from __future__ import annotations

import difflib
import importlib.metadata
import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from ..envs.conversation import ConversationEnv
from ..envs.errors import BadArgument
from ..envs.ticket_triage import expert as triage
from . import cheap, flawed, scripted
from .base import Kind, Policy
from .named import named
from .script import Scripted

GROUP = "stateset_gym.policies"
"""The entry points by which a package brings a policy: NAME = "module:factory", called as factory(kind, **options)."""

Factory = Callable[..., Policy]
OWN: dict[str, dict[str, Factory]] = {
    "CustomerService-v0": {
        "parrot-message": cheap.Echoing,
        **{name: partial(Scripted, script=script) for name, script in (cheap.SCRIPTS | flawed.SCRIPTS).items()},
    },
    "TicketTriage-v0": {name: partial(scripted.Fixed, action=action) for name, action in triage.CHEAP.items()},
}
"""Environment -> its own agents, beside those that every environment has."""


def make(name: str, env_or_id: gymnasium.Env[Any, Any] | Kind | str, **options: Any) -> Policy:
    """The policy of a name (`expert`), of an address (`openai:gpt-4o`, `hf:PATH`), or of a `module:factory`."""
    kind = kind_of(env_or_id)
    known = own(kind)
    if name in known:
        return _built(name, known[name], kind, **options)
    plugged = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
    if name in plugged:
        return _built(name, plugged[name].load(), kind, **options)
    head, _, tail = name.partition(":")
    if head in ADDRESSES:
        what, factory = ADDRESSES[head]
        if not tail:
            raise BadArgument(f"Policy {name!r} is not whole: write {head}:{what}.")
        return factory(kind, head, tail, **options)
    if tail:
        return _built(name, _named(name), kind, **options)
    raise BadArgument(f"Policy {name!r} does not exist for {kind.parts.name}{hint(name, (*known, *plugged))}")


def _built(name: str, factory: Factory, *arguments: Any, **options: Any) -> Policy:
    """What a factory makes; what it does not take is told."""
    try:
        inspect.signature(factory).bind(*arguments, **options)
    except TypeError as error:
        raise BadArgument(
            f"Policy {name!r} cannot be made so ({error}): it is called with the environment's class and the options "
            f"{options}."
        ) from None
    made = factory(*arguments, **options)
    if not callable(getattr(made, "act", made)):
        raise BadArgument(f"Policy {name!r} is {made!r}: a factory gives an object with act(observation, facts).")
    return made


def _named(name: str) -> Factory:
    found = named(f"Policy {name!r}", name)
    if not callable(found):
        raise BadArgument(f"Policy {name!r} is no factory but {found!r}: name what is called with (kind).")
    factory: Factory = found
    return factory


def _chat(kind: Kind, provider: str, model: str, **options: Any) -> Policy:
    from .chat import Chat

    return Chat(kind, f"{provider}:{model}", **options)


def _local(kind: Kind, _: str, path: str, **options: Any) -> Policy:
    from .local import Local

    return _built(f"hf:{path}", Local, kind, path, **options)


def _sb3(kind: Kind, _: str, path: str, **options: Any) -> Policy:
    from .sb3 import SB3

    return _built(f"sb3:{path}", SB3, kind, path, **options)


def _network(kind: Kind, _: str, path: str, **options: Any) -> Policy:
    from .network import Networked

    return _built(f"net:{path}", Networked, kind, path, **options)


def _human(kind: Kind, **options: Any) -> Policy:
    from .human import Human

    return Human(kind, **options)


ADDRESSES: dict[str, tuple[str, Factory]] = {
    "openai": ("MODEL", _chat),
    "anthropic": ("MODEL", _chat),
    "hf": ("PATH", _local),
    "sb3": ("PATH", _sb3),
    "net": ("PATH", _network),
}
"""What an address begins with -> what follows the colon, and what makes the policy."""


def names(env_or_id: gymnasium.Env[Any, Any] | Kind | str) -> tuple[str, ...]:
    """The policies that `make` knows for an environment, those of other packages last."""
    plugged = (entry.name for entry in importlib.metadata.entry_points(group=GROUP))
    return tuple(dict.fromkeys((*own(kind_of(env_or_id)), *plugged)))


def own(kind: Kind) -> dict[str, Factory]:
    """The policies that this package has for an environment."""
    return {**scripted.POLICIES, **OWN.get(kind.parts.name, {}), "human": _human}


def kind_of(env_or_id: gymnasium.Env[Any, Any] | Kind | str) -> Kind:
    """The class of an environment that is given as such, as an instance in any wrappers, or by its id."""
    if isinstance(env_or_id, str):
        spec = gymnasium.spec(env_or_id)
        found: Any = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    else:
        found = env_or_id if isinstance(env_or_id, type) else type(env_or_id.unwrapped)
    if not isinstance(found, type) or not issubclass(found, ConversationEnv):
        raise BadArgument(f"{env_or_id!r} is no conversation: give an environment of StateSet Gym, or its id.")
    return found


def hint(name: str, known: Iterable[str]) -> str:
    """What was meant, if a name is near, or else the names there are."""
    near = difflib.get_close_matches(name, known, 1)
    return f". Did you mean: {near[0]!r}?" if near else f": choose one of {', '.join(known)}."
