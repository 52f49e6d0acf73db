"""`StateSet/Echo-v0`: the smallest conversation."""

from __future__ import annotations

from functools import partial

from ..conversation import ConversationEnv
from ..parts import Parts
from ..vector import ConversationVectorEnv
from ..views import viewed
from . import catalogue, expert, rules, scenes, wording
from .actions import ACTIONS

FLOORS = {
    "silent": (0.0, -0.04, "says nothing that parses"),
    "random": (0.1, 0.1, "draws the example's word at times, and one easy scene in four asks for it"),
    "parrot": (0.0, -0.04, "repeats the whole sentence, and the answer is one word as JSON"),
}


class EchoEnv(ConversationEnv):
    """
    ## Description

    The smallest conversation. A customer asks for a word and the agent says it, for one to three rounds. It has the same
    engine, spaces, prompts, rewards and infos as the larger environments, and its optimum is known exactly, so that a
    trainer which cannot learn it in seconds is broken.

    ## Actions

    One act of speech, `say`, with the field `word`.

    ## Action Space

    `JSON(schema)` with the schema of `say`. `step` takes the JSON text, a dict or a `Say`.

    ## Observation Space

    A value of a `JSON` space:

    | Key          | Type  | Content |
    |--------------|-------|---------|
    | `messages`   | array | the chat so far, `{role, content}` each: the system message, the customer's sentences, the agent's answers |
    | `turn`       | integer | actions taken so far |
    | `turns_left` | integer | actions left |

    ## Rewards

    | Term      | Paid |
    |-----------|------|
    | `goal`    | 1 on the last turn if every word was right, else 0 |
    | `format`  | -0.05 for a malformed action |
    | `turns`   | -0.02 for each turn beyond the rounds, where `max_turns` allows any |
    | `conduct` | always 0: there is no house rule to breach |
    | `truth`   | always 0: nothing is stated |

    The best return is exactly 1. A wrong word is not told as such until the end. A malformed action takes a turn, so by
    default no round is left to make up for it.

    ## Starting State

    `reset(seed=...)` starts a stream of scenes; each has a name, such as `Echo-v0/train/easy/000007`, which decides the words
    and how they are asked for. `reset(options={"scene": NAME})` plays that one, and
    `reset(options={"scene": {"words": ["amber"], "asks": ["please say"]}})` one of your own.

    | Difficulty | Rounds | Words |
    |------------|--------|-------|
    | `easy`     | 1 | 4; the test split pairs them with ways of asking that train pairs with others |
    | `normal`   | 2 | 16; train and test share none, nor a way of asking |
    | `hard`     | 3 | as on normal |

    There is one scene kind, `echo`.

    ## Episode End

    1. Termination: every word has been answered (`closed`).
    2. Truncation: `max_turns` actions are taken (`out_of_turns`); as many as there are words by default.

    ## Arguments

    | Argument        | Default   | Meaning |
    |-----------------|-----------|---------|
    | `split`         | `"train"` | `"train"` or `"test"` |
    | `difficulty`    | `"easy"`  | `"easy"`, `"normal"` or `"hard"` |
    | `kinds`         | `None`    | the scene kinds to draw from; there is only `echo` |
    | `scenes`        | `None`    | the scenes to draw from: numbers or names; all of them |
    | `max_turns`     | `None`    | how many actions a conversation may take; one a word |
    | `customer`      | `"agenda"` | without effect: the customer of Echo only asks |
    | `reward`        | `None`    | a `Reward` with other prices or more terms |
    | `prompt`        | `"full"`  | the system message: `"full"`, `"brief"` (without examples) or `"none"` |
    | `on_invalid`    | `"price"` | `"raise"` raises `InvalidAction` where an action is malformed |
    | `render_mode`   | `None`    | `"ansi"`, `"human"` or `"rgb_array"` |

    ```python
    >>> import gymnasium as gym
    >>> import stateset_gym
    >>> env = gym.make("StateSet/Echo-v0", prompt="none")
    >>> observation, info = env.reset(options={"scene": {"words": ["amber"], "asks": ["please say"]}})
    >>> print(observation["messages"][-1]["content"])
    Please say amber.
    >>> observation, reward, terminated, truncated, info = env.step('{"type": "say", "word": "amber"}')
    >>> reward, terminated, info["is_success"]
    (1.0, True, True)

    ```

    Two rounds, by the scene's name, with a turn to spare:

    ```python
    >>> env = gym.make("StateSet/Echo-v0", difficulty="normal", max_turns=3)
    >>> observation, info = env.reset(options={"scene": "Echo-v0/train/normal/000007"})
    >>> observation, reward, terminated, truncated, info = env.step("What?")
    >>> info["malformed"] != "", round(reward, 2)
    (True, -0.05)

    ```

    ## Info keys

    | Key            | Type  | Content |
    |----------------|-------|---------|
    | `scene`        | str   | the scene's name |
    | `kind`         | str   | always `echo` |
    | `par`          | int   | the number of words |
    | `facts`        | list  | what became visible: the word that is asked for, a malformed action, the end |
    | `reward_terms` | dict  | the terms of the step's reward |
    | `malformed`    | str   | why the action was malformed, or `""` |
    | `refused`      | str   | always `""` |
    | `violations`   | list  | always empty |
    | `outcome`      | str   | at the end `closed` or `out_of_turns`, else `""` |
    | `is_success`   | bool  | whether every word was right |

    ## Version History

    * v0: Initial version
    """  # noqa: E501  (tables)

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
        catalogue=catalogue.CATALOGUE,
    )


class EchoVectorEnv(ConversationVectorEnv):
    """Many of them at once."""

    env_class = EchoEnv


make_vec = partial(viewed, EchoVectorEnv)
"""What `gym.make_vec` calls."""
