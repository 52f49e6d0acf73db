"""`StateSet/CustomerService-v0`: a retail shop's support desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..conversation import ConversationEnv
from ..parts import Parts
from . import desk, expert, scenes, wording
from .actions import ACTIONS
from .store import Store

FLOORS = {
    "silent": (0.0, 0.0, "nothing is done or said"),
}


class CustomerServiceEnv(ConversationEnv):
    """Serve the customers of an online shop."""

    parts = Parts(
        name="CustomerService-v0",
        actions=ACTIONS,
        cycles=scenes.CYCLES,
        build=scenes.build,
        load=scenes.load,
        start=desk.State,
        opening=desk.opening,
        play=desk.play,
        show=wording.show,
        say=wording.say,
        goal=desk.goal,
        brief=wording.brief,
        expert=expert.act,
        answers=True,
        floors=FLOORS,
    )

    def __init__(self, *, store: str | Path | dict[str, Any] | Store | None = None, **arguments: Any) -> None:
        self._shop = None if store is None else scenes.shop(store)
        super().__init__(**arguments)

    def _suffix(self) -> str:
        return self._shop.suffix if self._shop else ""

    def _build(self, name: str) -> Any:
        return self._shop.build(name) if self._shop else scenes.build(name)

    def _cycle(self, difficulty: str) -> tuple[str, ...]:
        return self._shop.cycle(difficulty) if self._shop else super()._cycle(difficulty)
