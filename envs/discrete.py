"""The discrete view: any of our environments with numbered actions and an array of features, for classical RL."""

from __future__ import annotations

from typing import Any

import gymnasium
import msgspec
import numpy as np
import numpy.typing as npt

from .actions import Action
from .catalogue import Catalogue, Numbered
from .conversation import ConversationEnv, Observation, Snapshot
from .errors import BadArgument, InvalidAction, ResetNeeded
from .memory import Memory

Features = npt.NDArray[np.float32]
Info = dict[str, Any]


def catalogue_of(kind: ConversationEnv | type[ConversationEnv]) -> Catalogue:
    """The catalogue of an environment or of its class."""
    if kind.parts.catalogue is None:
        raise BadArgument(
            f"{kind.parts.name} has no catalogue, so there is no discrete view of it: give its Parts one, "
            "catalogue=Catalogue(...)."
        )
    return kind.parts.catalogue


class DiscreteView(Numbered, gymnasium.Wrapper[Features, Any, Observation, Any], gymnasium.utils.RecordConstructorArgs):
    """Numbered action templates, whose slots are bound from memory, and features computed from memory alone.

    Rewards, ends and infos are those of the environment for the same actions. A template that memory cannot bind is
    masked (`action_masks()`): chosen nevertheless, it is played as a text that is no action. It takes a turn and costs
    what a malformed action costs. An index outside the catalogue is an error of the caller.

    A classical baseline gets language understanding free here: what the customer said reaches it as facts.

    ```python
    >>> import gymnasium as gym
    >>> from stateset_gym.envs.discrete import DiscreteView
    >>> env = DiscreteView(gym.make("StateSet/CustomerService-v0"))
    >>> env.action_space, env.observation_space.shape == (len(env.feature_names),)
    (Discrete(45), True)
    >>> features, info = env.reset(options={"scene": "CustomerService-v0/train/easy/000001"})
    >>> [env.action_names[i] for i in env.action_masks().nonzero()[0]][:3]
    ['get_order.named', 'hand_over', 'ask.email']
    >>> env.to_action(env.action_names.index("ask.name"))
    {'type': 'ask', 'field': 'name'}

    ```
    """

    def __init__(self, env: gymnasium.Env[Any, Any], catalogue: Catalogue | None = None) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, catalogue=catalogue, _disable_deepcopy=True)
        super().__init__(env)
        engine: Any = env.unwrapped
        if not isinstance(engine, ConversationEnv):
            raise BadArgument(f"DiscreteView wraps environments of this package, and {env} is none.")
        self._engine: ConversationEnv = engine
        self.catalogue = catalogue or catalogue_of(engine)
        self.action_space = gymnasium.spaces.Discrete(len(self.action_names))
        self.observation_space = gymnasium.spaces.Box(0, 1, (len(self.feature_names),), np.float32)
        self._memory: Memory | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Features, Info]:
        """Begin a conversation."""
        _, info = self.env.reset(seed=seed, options=options)
        self._memory = Memory()
        return self._shown(None, info), info

    def step(self, action: np.integer[Any] | int) -> tuple[Features, float, bool, bool, Info]:
        """Play the template with this index."""
        self._begun()
        chosen = self.catalogue.chosen(action, self._look)
        _, reward, terminated, truncated, info = self.env.step(chosen)
        return self._shown(chosen, info), float(reward), terminated, truncated, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Which templates are allowed now; some always are."""
        self._begun()
        return self._look.mask()

    def to_action(self, index: np.integer[Any] | int) -> dict[str, Any]:
        """The JSON action that an index stands for now; a masked one stands for none."""
        self._begun()
        chosen = self.catalogue.chosen(index, self._look)
        if isinstance(chosen, str):
            name = self.action_names[self.catalogue.index(index)]
            raise InvalidAction(
                f"Template {int(index)} ({name}) is masked: memory does not hold what it needs, or it would repeat "
                "what is known. action_masks() tells which are allowed."
            )
        action: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(chosen))
        return action

    def snapshot(self) -> Snapshot:
        """The conversation at this turn."""
        return self._engine.snapshot()

    def restore(self, snapshot: Snapshot) -> tuple[Features, Info]:
        """Go back to a snapshot; the features and the info of that turn are returned."""
        _, info = self._engine.restore(snapshot)
        self._memory = self._engine.memory.copy()
        self._look = self.catalogue.look(self._memory)
        return self._look.array(), info

    def _begun(self) -> Memory:
        if self._memory is None:
            raise ResetNeeded(f"{self._engine.parts.name}: the conversation has not begun; call reset() first.")
        return self._memory

    def _shown(self, chosen: Action | str | None, info: Info) -> Features:
        """Take in what an action brought, and look anew."""
        memory = self._begun()
        memory.fold(chosen if isinstance(chosen, Action) else None, info["facts"])
        self._look = self.catalogue.look(memory)
        return self._look.array()
