"""`StateSet/TicketTriage-v0`: one ticket, one structured answer."""

from __future__ import annotations

from functools import partial

from ..conversation import ConversationEnv
from ..parts import Parts
from ..vector import ConversationVectorEnv
from ..views import viewed
from . import catalogue, expert, rules, scenes, wording
from .actions import ACTIONS

FLOORS = {
    "silent": (0.0, -0.04, "gives no answer that parses, so no field is right"),
    "random": (
        0.01,
        -0.3,
        "a queue is right one time in 8, and random details are inventions that cost more than that wins",
    ),
    "parrot": (0.0, -0.04, "repeats the ticket, and the answer is a JSON object"),
    "majority": (
        0.01,
        0.17,
        "the commonest priority is right four times in ten, a queue one in 8; empty details earn nothing",
    ),
    "liar": (0.0, -0.85, "each invented detail is wrong, and costs 0.25 besides"),
}


class TicketTriageEnv(ConversationEnv):
    """
    ## Description

    Tickets arrive at the desk of an online shop. The agent reads one, a subject and a few sentences or paragraphs, and
    answers once: the queue that takes it, its priority, and the details that it tells. The rules that decide are in the
    system message, so a reader can answer every ticket exactly; nothing has to be guessed. An episode is one turn long, with
    a reward for each field: made for single-turn training such as GRPO, for structured extraction, and for quick tests.

    Every scene kind is the family of an issue, and bears the name of the queue that takes it.

    | Difficulty | Tickets |
    |------------|---------|
    | `easy`     | two or three short sentences, plain words, one issue, one or two details |
    | `normal`   | greeting and signature, mostly two or three details, four issues a queue, small talk, a wish, a second order number, e-mail address, price or product that is mentioned and not meant |
    | `hard`     | longer, in two paragraphs; the main issue stands among others, beside a side issue of another queue; subject lines that say little or name the side issue, missing details, circumstances that outrank others, forwarded and quoted messages, typing errors in small talk |

    The test split of `easy` recombines the words of train: no sentence, order number, amount, product, name or address is
    shared, and every word was seen. On `normal` and `hard` all phrases, names and products are disjoint.

    ## Actions

    One action, `triage`: put the ticket into a queue with a priority, and note its details.

    | Field          | Value | Right is |
    |----------------|-------|----------|
    | `queue`        | `billing`, `shipping`, `returns`, `technical`, `account`, `sales`, `complaints`, `other` | the queue that takes the main issue |
    | `priority`     | `urgent`, `high`, `normal`, `low` | the first of `urgent`, `high`, `low` that a circumstance calls for, else `normal` |
    | `order_id`     | text, `""` by default | the order that the ticket is about |
    | `email`        | text, `""` by default | the address at which the writer wants to be answered |
    | `amount_cents` | integer, 0 by default | the amount in question |
    | `product`      | text, `""` by default | the product that the ticket is about |

    Texts are compared without regard to case, spacing, outer punctuation and a leading article.

    ## Action Space

    `JSON(schema)` with the schema of `triage`. `step` takes the JSON text, a dict or a `Triage`.

    ## Observation Space

    A value of a `JSON` space:

    | Key          | Type  | Content |
    |--------------|-------|---------|
    | `messages`   | array | the chat: the system message with the rules (as `prompt` says), the ticket, and after the step the answer and its grades |
    | `turn`       | integer | 0, and 1 after the answer |
    | `turns_left` | integer | 1, and 0 after the answer |

    ## Rewards

    | Term      | Paid |
    |-----------|------|
    | `goal`    | the share of the graded fields that are right: queue, priority, and each detail that the ticket tells or the answer gives. A detail that is neither told nor given is not graded, so an empty answer earns nothing for it |
    | `truth`   | -0.25 for each detail that stands nowhere in the ticket |
    | `format`  | -0.05 for a malformed answer |
    | `turns`   | -0.02 for each turn beyond the first, where `max_turns` allows any |
    | `conduct` | always 0: there is no house rule to breach |

    The perfect answer is worth exactly 1. A wrong detail that does stand in the ticket costs its share and no more.

    ## Starting State

    `reset(seed=...)` starts a stream of scenes; each has a name, such as `TicketTriage-v0/test/hard/000123`, which decides
    everything in it. `reset(options={"scene": NAME})` plays that one, and `reset(options={"scene": {...}})` a ticket of your
    own: its `subject`, its `body`, and the right `answer`. `said` may list what it says and in which words, for policies that
    act on facts; it must then lead to the `answer` by the rules. Without it your own labels stand.

    ## Episode End

    1. Termination: the ticket is answered (`closed`).
    2. Truncation: `max_turns` answers (1 by default) were malformed (`out_of_turns`).

    ## Arguments

    | Argument        | Default   | Meaning |
    |-----------------|-----------|---------|
    | `split`         | `"train"` | `"train"` or `"test"` |
    | `difficulty`    | `"easy"`  | `"easy"`, `"normal"` or `"hard"` |
    | `kinds`         | `None`    | the scene kinds to draw from; all of them |
    | `scenes`        | `None`    | the scenes to draw from: numbers or names; all of them |
    | `max_turns`     | `None`    | how many answers may be tried until one parses; 1 |
    | `customer`      | `"agenda"` | anything else is refused: a ticket's writer is not there to be asked |
    | `reward`        | `None`    | a `Reward` with other prices or more terms |
    | `prompt`        | `"full"`  | the system message: `"full"`, `"brief"` (without examples) or `"none"` |
    | `on_invalid`    | `"price"` | `"raise"` raises `InvalidAction` where an answer is malformed |
    | `render_mode`   | `None`    | `"ansi"`, `"human"` or `"rgb_array"` |

    ```python
    >>> import gymnasium as gym
    >>> import stateset_gym
    >>> env = gym.make("StateSet/TicketTriage-v0", difficulty="easy", kinds=["returns"])
    >>> observation, info = env.reset(options={"scene": "TicketTriage-v0/train/easy/000018"})
    >>> print(observation["messages"][-1]["content"])
    Subject: Note about my new thing
    <BLANKLINE>
    I am writing because the box had a wrong thing and not the royal kettle. For your records, it is about $16.05.
    >>> answer = {"type": "triage", "queue": "returns", "priority": "normal", "product": "kettle", "amount_cents": 1605}
    >>> observation, reward, terminated, truncated, info = env.step(answer)
    >>> print(observation["messages"][-1]["content"])
    [triage] queue right; priority right; amount_cents right; product wrong
    [end] the conversation is closed
    >>> reward, terminated, info["is_success"]
    (0.75, True, False)

    ```

    A ticket of your own:

    ```python
    >>> answer = {"queue": "shipping", "priority": "high", "order_id": "A-7"}
    >>> own = {"subject": "Where is it?", "body": "Order A-7 is late, and I need it by Friday.", "answer": answer}
    >>> observation, info = env.reset(options={"scene": own})
    >>> env.step({"type": "triage", "queue": "shipping", "priority": "high", "order_id": "a-7"})[1]
    1.0

    ```

    ## Info keys

    | Key            | Type  | Content |
    |----------------|-------|---------|
    | `scene`        | str   | the scene's name |
    | `kind`         | str   | the scene's kind; it is the right queue, so keep it from the agent |
    | `par`          | int   | 1 |
    | `facts`        | list  | what became visible: the ticket and what it says, part by part; then the grade of each field, inventions and the end |
    | `reward_terms` | dict  | the terms of the step's reward |
    | `malformed`    | str   | why the answer was malformed, or `""` |
    | `refused`      | str   | always `""` |
    | `violations`   | list  | `supported_claims` for each invented detail |
    | `outcome`      | str   | `closed` or `out_of_turns` at the end |
    | `is_success`   | bool  | whether every graded field is right |

    ## Version History

    * v0: Initial version
    """  # noqa: E501  (tables)

    parts = Parts(
        name="TicketTriage-v0",
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


class TicketTriageVectorEnv(ConversationVectorEnv):
    """Many of them at once."""

    env_class = TicketTriageEnv


make_vec = partial(viewed, TicketTriageVectorEnv)
"""What `gym.make_vec` calls."""
