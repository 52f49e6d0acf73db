"""What planted faults are made of."""

from __future__ import annotations

from typing import Any

from ...envs.customer_service.env import CustomerServiceEnv
from ...rewards.terms import Reward

SOUND = CustomerServiceEnv.parts


class Planted(CustomerServiceEnv):
    """A faulty environment; it shares no turns with the sound one."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"reward": Reward(), **arguments})
