"""`StateSet/Echo-v0`: the smallest conversation."""

from __future__ import annotations

from ..conversation import ConversationEnv
from ..parts import Parts
from . import expert, rules, scenes, wording
from .actions import ACTIONS

FLOORS = {
    "silent": (0.0, 0.0, "says nothing that parses"),
    "random": (0.02, 0.05, "a random word is hardly ever the one"),
    "parrot": (0.0, 0.0, "repeats the whole sentence, and the answer is one word as JSON"),
}


class EchoEnv(ConversationEnv):
    """Say the word that the customer asks for."""

    parts = Parts(
        name="Echo-v0",
        actions=ACTIONS,
        cycles=scenes.CYCLES,
        build=scenes.build,
        load=scenes.load,
        start=rules.State,
        opening=rules.opening,
        play=rules.play,
        show=wording.show,
        say=wording.say,
        goal=rules.goal,
        brief=wording.brief,
        expert=expert.act,
        answers=False,
        floors=FLOORS,
    )
