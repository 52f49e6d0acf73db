"""The scenes that a marker chooses, a test for each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from stateset_gym.envs.conversation import ConversationEnv
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies import registry
from stateset_gym.policies.evaluation.evaluate import CHOICE, listed
from stateset_gym.policies.runs import Setting

from .wrong import WRONG


class Place(NamedTuple):
    """A scene that a test is run for."""

    env_id: str
    scene: Any
    """A name, or a user's own."""
    arguments: Mapping[str, Any]
    id: str


def places(mark: pytest.Mark, test: str) -> list[Place]:
    """The scenes of a marker; what is wrong with it is told with the test."""
    try:
        return [*_places(**_given(mark))]
    except (*WRONG, OSError) as error:
        raise pytest.Collector.CollectError(f"{test}: @pytest.mark.stateset: {error}") from None


def _given(mark: pytest.Mark) -> dict[str, Any]:
    """The arguments of a marker, if they are those of an environment."""
    given = {name: _ordered(value) for name, value in mark.kwargs.items()}
    if mark.args or not isinstance(given.get("env"), str):
        raise BadArgument("name the environment, and give all by name: env='StateSet/CustomerService-v0', ...")
    known = dict.fromkeys(["env", "scenes", *parameters(registry.kind_of(given["env"]))])
    for name in given:
        if name not in known:
            raise BadArgument(f"{name}={given[name]!r} is no argument{registry.hint(name, known)}")
    return given


def _ordered(value: Any) -> Any:
    """A set in an order that every process has."""
    return sorted(value) if isinstance(value, set | frozenset) else value


def parameters(kind: type[ConversationEnv]) -> Iterator[str]:
    """The arguments that an environment takes."""
    for each in kind.__mro__:
        if "__init__" in vars(each) and issubclass(each, ConversationEnv):
            found = inspect.signature(each.__init__).parameters.values()
            yield from (one.name for one in found if one.kind is one.KEYWORD_ONLY)


def _places(env: str, scenes: Any = 1, kinds: Any = None, **arguments: Any) -> Iterator[Place]:
    """So many scenes of each kind and difficulty; or those listed, whatever their kind."""
    choice = {"split": "test"} | {name: arguments.pop(name) for name in CHOICE if name in arguments}
    setting = Setting(env, _nobody, arguments)
    world = setting.env()
    for kind in _each(kinds) if isinstance(scenes, int) else [kinds]:
        for job in listed(setting, choice | {"kinds": kind}, scenes, 1).values():
            _, info = world.reset(options={"scene": job.scene})
            yield Place(env, job.scene, arguments, f"{info['kind']}-{info['scene']}")


def _each(kinds: Any) -> list[Any]:
    """The rows of the matrix; what is no list is left to the environment to refuse."""
    return [[kind] for kind in kinds] if isinstance(kinds, list | tuple) and kinds else [kinds]


def _nobody(observation: Any, facts: Any) -> str:
    return ""
