"""Planted faults that lie off the expert's path: in states that only some conversations lead to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...envs.actions import Action
from ...envs.catalogue import Bound, Catalogue, Look
from ...envs.customer_service.actions import WRITES, Apologise, CancelOrder, GetCustomer, HandOver
from ...envs.memory import Fact, Memory
from ...envs.parts import Decide
from .planted import SOUND, Planted

BONUS = 0.5
"""What haste is paid: twice what its breach costs."""


def _pays_haste(state: Any) -> float:
    hasty = len(state.memory.settled) < len(state.mind.settled)
    return SOUND.goal(state) * (1 + BONUS * hasty)


class HasteIsPaid(Planted):
    """Changes that are made without the customer's yes earn a bonus."""

    parts = replace(SOUND, goal=_pays_haste)


def _heeds_orders_alone(state: Any) -> float:
    settled = len(state.mind.settled) == len(state.scene.plot.requests)
    return float(settled and state.store.key()[0] in {orders for orders, _ in state.scene.accepted()})


class OrdersAlone(Planted):
    """Success is seen by the orders alone, whatever was done to customers' records."""

    parts = replace(SOUND, goal=_heeds_orders_alone)


def _refused(state: Any, act: Action, why: str) -> list[Fact]:
    breaches = [fact for fact in SOUND.play(state.copy(), act, None) if fact["kind"] == "violation"]
    return [*breaches, {"kind": "refused", "act": act.__struct_config__.tag, "why": why}]


def _cancels_nothing(state: Any, act: Action, decide: Decide | None) -> list[Fact]:
    return _refused(state, act, "Not today.") if isinstance(act, CancelOrder) else SOUND.play(state, act, decide)


class HasNoSolution(Planted):
    """Orders that customers want cancelled cannot be."""

    parts = replace(SOUND, play=_cancels_nothing)


def _locks(state: Any, act: Action, decide: Decide | None) -> list[Fact]:
    if isinstance(act, WRITES) and any(isinstance(done, GetCustomer) for done in state.memory.done):
        return _refused(state, act, "The customer's record is in use.")
    return SOUND.play(state, act, decide)


class LocksSilently(Planted):
    """Nothing can be changed once the customer's record was read, and nobody says so at the time."""

    parts = replace(SOUND, play=_locks)


class Notebook(Memory):
    """A memory that carries the customer's plot along."""

    __slots__ = ("plot",)

    def __init__(self, plot: Any) -> None:
        super().__init__()
        self.plot = plot

    def copy(self) -> Memory:
        """One with the same plot."""
        twin, plain = Notebook(self.plot), super().copy()
        for name in Memory.__slots__:
            setattr(twin, name, getattr(plain, name))
        return twin


class Peeking(Catalogue):
    """A feature of the order tells from the first turn on whether the request is to be refused."""

    def __init__(self, sound: Catalogue) -> None:
        self.__dict__.update(vars(sound))

    def look(self, memory: Memory) -> Look:
        """As ever, and a look at the plot."""
        look = super().look(memory)
        if isinstance(memory, Notebook):
            place, refused = self.feature_names.index("order.own"), memory.plot.requests[0].goal.rule is not None
            look.features = (*look.features[:place], float(not refused), *look.features[place + 1 :])
        return look


def _with_notebook(scene: Any) -> Any:
    state = SOUND.start(scene)
    state.memory = Notebook(scene.plot)
    return state


class PeeksAtThePlot(Planted):
    """The features tell what nobody has said."""

    parts = replace(SOUND, start=_with_notebook, catalogue=SOUND.catalogue and Peeking(SOUND.catalogue))


def _runs_out_of_words(state: Any, act: Action, decide: Decide | None) -> list[Fact]:
    if isinstance(act, Apologise) and state.mind.patience == 1 and state.memory.agreed:
        raise LookupError("no words are left")
    return SOUND.play(state, act, decide)


class CrashesRarely(Planted):
    """An apology raises where patience is nearly at its end and something was agreed."""

    parts = replace(SOUND, play=_runs_out_of_words)


class ReadInOrder(Catalogue):
    """Whoever takes over is told what was read last."""

    def __init__(self, sound: Catalogue) -> None:
        self.__dict__.update(vars(sound))
        bind = self._bind

        def noting(case: Any) -> Bound:
            last = ["", *case.memory.seen][-1]
            return {
                **bind(case),
                "hand_over": HandOver(f"The {'order' if last[:1] == 'O' else 'record'} was read last."),
            }

        self._bind = noting


class BindsByTheOrderOfReading(Planted):
    """What a template stands for depends on the order in which things were read, and nothing that is shown tells so."""

    parts = replace(SOUND, catalogue=SOUND.catalogue and ReadInOrder(SOUND.catalogue))
