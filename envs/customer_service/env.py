"""`StateSet/CustomerService-v0`: a retail shop's support desk."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ..conversation import ConversationEnv
from ..parts import Parts
from ..vector import ConversationVectorEnv
from ..views import viewed
from . import catalogue, desk, expert, scenes, wording
from .actions import ACTIONS
from .store import Store

FLOORS = {
    "silent": (0.0, 0.0, "nothing is done or said"),
    "random": (0.02, 0.1, "a request takes several acts that fit each other"),
    "parrot": (0.0, 0.0, "the customer's words are no action"),
    "parrot-message": (0.0, 0.0, "an apology settles nothing, whatever it says"),
    "close-at-once": (0.0, 0.0, "nobody comes for nothing"),
    "refuse-all": (0.05, 0.1, "a refusal counts once the order was seen to break the rule"),
    "refuse-all-authenticated": (0.05, 0.1, "as above: who the customer is says nothing of their orders"),
    "refuse-all-informed": (0.14, -0.7, "among six rules it finds the one that fits, where one does; the others cost"),
    "refuse-one-informed": (0.05, -0.7, "someone else's order is asked about in one scene of 24"),
    "hand-over-all": (0.05, 0.1, "one scene in 24 is out of scope, and none of the easy ones"),
    "hand-over-all-authenticated": (0.05, 0.1, "as above"),
    "promise-all": (0.0, 0.0, "words change no records"),
    "promise-all-authenticated": (0.0, 0.0, "words change no records"),
    "list-everything": (0.02, 0.1, "an answer says what was asked for and nothing else"),
    "list-one-by-one": (0.1, -0.5, "two attempts cover what is asked about an order; what nobody asked for costs"),
    "list-products": (0.03, -0.85, "patience ends before all variants are told, each at a price"),
    "liar": (0.0, 0.0, "what no tool has shown settles nothing"),
    "liar-authenticated": (0.0, 0.0, "what no tool has shown settles nothing"),
    "leaker": (0.02, 0.1, "nobody asks about others"),
    "ask-everything": (0.0, 0.0, "questions settle nothing"),
    "do-everything": (0.13, -0.42, "some changes are wanted; each that was not agreed to costs a quarter"),
    "propose-everything": (0.32, -0.17, "finds cancellations and returns by trying; what nobody asked for costs"),
    "read-only": (0.41, 0.41, "the expert on all that changes nothing: questions, refusals, what is out of scope"),
    "never-writes": (0.41, 0.41, "the expert but for the changes: a yes is no change"),
    "never-authenticates": (0.82, 0.3, "the expert, not knowing who calls: reading costs a quarter, a change another"),
    "never-asks": (1.0, 0.72, "the expert but for the asking: each change that was not agreed to costs a quarter"),
}


class CustomerServiceEnv(ConversationEnv):
    """
    ## Description

    A retail shop's support desk. A customer writes in; the agent asks, looks things up in the shop's records, proposes a
    change and makes it, answers, declines by a rule, or hands over. It does all of that by emitting JSON actions. The
    customer is simulated: they know some things and not others, tell them when asked, and may misremember, change their
    mind, push back, drift off topic or lose patience. They react to the fields of an action and need no model for it. The
    words that an agent adds in `message` are checked too: an id, an amount, an e-mail address, a name or a place that
    nothing has shown is an invention, and what belongs to somebody else must not be told.

    What counts is the shop's records at the end, and that the customer was told what they asked for.

    ## Actions

    An action is a JSON object with a `type`. Acts on the records yield one result, which the customer does not hear:

    | `type`                   | Fields | What it does |
    |--------------------------|--------|--------------|
    | `find_customer`          | `email`, or `first_name`, `last_name` and `postcode` | authenticates the customer |
    | `get_customer`           | `customer_id` | shows name, address, payment methods, orders |
    | `get_order`              | `order_id` | shows status, items, payments, address |
    | `get_product`            | `product_id` | shows the variants with options, price and availability |
    | `list_products`          |        | shows names and ids |
    | `cancel_order`           | `order_id`, `reason` | only while `pending`; refunds every payment to its own method |
    | `change_items`           | `order_id`, `item_ids`, `new_item_ids`, `payment_method_id` | only while `pending`, so once an order; the difference is booked |
    | `change_address`         | `order_id`, `address` | only while `pending` or `pending (items changed)` |
    | `change_payment`         | `order_id`, `payment_method_id` | the same; only where exactly one payment was made so far |
    | `change_profile_address` | `customer_id`, `address` | replaces the default address |
    | `return_items`           | `order_id`, `item_ids`, `payment_method_id` | only `delivered`; refunded to the original method or to a gift card |
    | `exchange_items`         | `order_id`, `item_ids`, `new_item_ids`, `payment_method_id` | only `delivered` |
    | `hand_over`              | `summary` | a human agent takes over; ends the conversation |

    Acts of speech yield one act of the customer. Each may carry a `message`, the words:

    | `type`      | Fields | What it says |
    |-------------|--------|--------------|
    | `ask`       | `field` | asks for one thing |
    | `inform`    | `claims`: `[{about, field, value}]` | states facts that a tool has shown: just those that were asked for |
    | `propose`   | `action` | puts a change to the customer, exactly as it would be made |
    | `refuse`    | `request`, `rule` | declines a request, naming the rule that forbids it |
    | `apologise` |        | says sorry |
    | `close`     |        | ends the conversation |

    Money is in whole cents. Every change is proposed and agreed to before it is made.

    ## Action Space

    `JSON(schema)`, with a branch for each action type. `step` takes the JSON text, a dict or an action Struct. Around the
    one object a text may hold prose or a ```` ```json ```` fence, and a leading `<think>...</think>` is left out of account.

    ## Observation Space

    A value of a `JSON` space:

    | Key          | Type  | Content |
    |--------------|-------|---------|
    | `messages`   | array | the chat so far, `{role, content}` each; it only grows. `system`: the job, the house rules, the actions. `assistant`: the agent's own text. `user`: the customer's words, and in front of them, in lines that begin with a bracket, a tool's result, a refusal, a breach or the end |
    | `turn`       | integer | actions taken so far |
    | `turns_left` | integer | actions left |

    ## Rewards

    | Term      | Paid |
    |-----------|------|
    | `goal`    | 1 on the last turn if every request is settled and the records have come to an accepted end, else 0 |
    | `conduct` | -0.25 for each breach of a house rule |
    | `truth`   | -0.25 for each statement that nothing shown supports |
    | `format`  | -0.05 for a malformed action, -0.02 for one that the shop's rules refuse |
    | `turns`   | -0.02 for each turn beyond the scene's par |

    Penalties are paid when incurred, at most 1 in all. The return lies in [-1, 1]: flawless within par is exactly 1, and a
    failed goal is never above 0. Reading costs nothing but turns, and independent changes may come in any order.

    ## Starting State

    `reset(seed=...)` starts a stream of scenes. Each has a name, such as `CustomerService-v0/test/hard/000123`, which
    decides everything in it: the store, the customer, the words. `reset(options={"scene": NAME})` plays that one, and
    `reset(options={"scene": {...}})` one of your own (its format is in `docs/scenes.md`). The first message is the customer's.

    Of 24 scenes in a row, so many are of each kind:

    | Kind                     | easy | normal | hard | The customer wants |
    |--------------------------|------|--------|------|--------------------|
    | `order_question`         | 2 | 1 | 1 | the status or the total of an order |
    | `product_question`       | 3 | 1 | 1 | the price or the availability of a variant |
    | `cancel_order`           | 4 | 2 | 1 | a pending order cancelled |
    | `change_items`           | 3 | 3 | 2 | another variant in a pending order |
    | `change_address`         | 2 | 2 | 1 | a pending order sent elsewhere |
    | `change_payment`         | 1 | 1 | 1 | a pending order paid by another method |
    | `change_profile_address` | 1 | 1 | 1 | another default address |
    | `return_items`           | 3 | 2 | 1 | to send an item back |
    | `exchange_items`         | 2 | 2 | 2 | another variant for one that was delivered |
    | `several`                | 0 | 2 | 6 | two or three of these, one after the other |
    | `not_your_order`         | 1 | 1 | 1 | something about an order that is somebody else's |
    | `not_pending`            | 1 | 1 | 1 | a change to an order that is already delivered |
    | `not_delivered`          | 1 | 1 | 1 | a return or an exchange before delivery |
    | `unavailable`            | 0 | 1 | 1 | a variant that is sold out |
    | `gift_card_too_small`    | 0 | 1 | 1 | to pay by a gift card that does not cover it |
    | `refund_method`          | 0 | 1 | 1 | a refund to another card, or to two |
    | `out_of_scope`           | 0 | 1 | 1 | what no action serves |

    From `not_your_order` to `refund_method` the right end is a refusal that names the rule, and for `out_of_scope` it is
    `hand_over`. What customers do on each level:

    | Customers                                   | easy      | normal    | hard      |
    |---------------------------------------------|-----------|-----------|-----------|
    | leave out details until asked               | one at most | some    | some      |
    | forget their e-mail address or order number | never     | sometimes | often     |
    | misremember one of them, and mend it when asked again | never | sometimes | often |
    | change their mind once a change is proposed | never     | sometimes | often     |
    | push back on a justified refusal            | never     | once      | up to twice |
    | drift off topic                             | never     | once      | up to twice |
    | make typing errors                          | never     | some do   | half do   |
    | are curt or talkative                       | never     | some are  | most are  |
    | bear pointless acts of speech               | 3         | 3         | 2         |

    A pointless act asks what was told, proposes what is not wanted, answers what was not asked, or declines what is
    allowed. One more than they bear, and the customer leaves. Stores grow with the level, and ids get longer.

    The test split of `easy` recombines what train has shown: every word there is seen in training, no whole sentence is.
    On `normal` and `hard` phrases, names and products are disjoint.

    ## Episode End

    1. Termination: the agent closes (`closed`) or hands over (`handed_over`), or the customer leaves (`left`).
    2. Truncation: `max_turns` actions are taken (`out_of_turns`): 16, 32 and 60 on easy, normal and hard by default.

    ## Arguments

    | Argument      | Default    | Meaning |
    |---------------|------------|---------|
    | `split`       | `"train"`  | `"train"` or `"test"` |
    | `difficulty`  | `"easy"`   | `"easy"`, `"normal"` or `"hard"` |
    | `kinds`       | `None`     | the scene kinds to draw from; all of them |
    | `scenes`      | `None`     | the scenes to draw from: numbers or names; all of them |
    | `max_turns`   | `None`     | how many actions a conversation may take; the level's own |
    | `customer`    | `"agenda"` | or who plays the customer: a hosted model (`"openai:MODEL"`, `"anthropic:MODEL"`, a dict with such a `model` and its options), or a callable: (what they know and want, transcript, action) -> an act |
    | `reward`      | `None`     | a `Reward` with other prices or more terms |
    | `prompt`      | `"full"`   | the system message: `"full"`, `"brief"` (without examples) or `"none"` |
    | `on_invalid`  | `"price"`  | `"raise"` raises `InvalidAction` where an action is malformed |
    | `render_mode` | `None`     | `"ansi"`, `"human"` or `"rgb_array"` |
    | `store`       | `None`     | a store of your own: a path, a dict or a `Store` (its format is in `docs/store.md`); a small one for each scene |

    ```python
    >>> import gymnasium as gym
    >>> import stateset_gym
    >>> env = gym.make("StateSet/CustomerService-v0", split="test", difficulty="hard", kinds=["cancel_order"])
    >>> observation, info = env.reset(seed=7)
    >>> info["kind"], observation["turn"], observation["turns_left"]
    ('cancel_order', 0, 60)

    ```

    The same three scenes, in an order that the seed draws; no more than ten turns; a short system message:

    ```python
    >>> env = gym.make("StateSet/CustomerService-v0", scenes=range(3), max_turns=10, prompt="brief")
    >>> observation, info = env.reset(seed=7)
    >>> info["scene"] in [f"CustomerService-v0/train/easy/00000{number}" for number in range(3)]
    True
    >>> observation["turns_left"]
    10

    ```

    Other prices, and a term of your own; a malformed action, priced or raised:

    ```python
    >>> from stateset_gym.rewards import Prices, Reward
    >>> reward = Reward(Prices(malformed=0.1), extra={"calm": lambda facts: -0.01})
    >>> env = gym.make("StateSet/CustomerService-v0", reward=reward)
    >>> observation, info = env.reset(seed=7)
    >>> observation, paid, terminated, truncated, info = env.step("Hello!")
    >>> round(paid, 2), info["reward_terms"]["format"], info["reward_terms"]["calm"]
    (-0.11, -0.1, -0.01)
    >>> env = gym.make("StateSet/CustomerService-v0", on_invalid="raise")
    >>> observation, info = env.reset(seed=7)
    >>> env.step("Hello!")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    stateset_gym.envs.errors.InvalidAction

    ```

    A customer of your own: a callable that is given what they know and want, the transcript and the agent's act as a dict,
    and answers with an act: `tell`, `cannot_tell`, `accept`, `decline`, `change`, `push_back`, `drift` or `leave`; beside
    `act` it may give `no` (the request's number), `field`, `how` (see `docs/running.md`) and `message`, the words. A hosted
    model that plays them (`customer="openai:MODEL"`) finds words of its own, and is held to what this customer knows and wants.

    ```python
    >>> def impatient(brief, transcript, action):
    ...     return {"act": "leave", "message": "Never mind."}
    >>> env = gym.make("StateSet/CustomerService-v0", customer=impatient, render_mode="ansi")
    >>> observation, info = env.reset(seed=7)
    >>> observation, reward, terminated, truncated, info = env.step({"type": "ask", "field": "email"})
    >>> info["outcome"], terminated, "Never mind." in env.render()
    ('left', True, True)

    ```

    A store of your own:

    ```python
    >>> env = gym.make("StateSet/CustomerService-v0", store="examples/shop.json", kinds=["product_question"])
    >>> observation, info = env.reset(seed=7)
    >>> observation, reward, terminated, truncated, info = env.step({"type": "list_products"})
    >>> print(observation["messages"][-1]["content"])
    [list_products] rain jacket (P1); water bottle (P2)

    ```

    ## Info keys

    The same keys at every reset and step:

    | Key            | Type  | Content |
    |----------------|-------|---------|
    | `scene`        | str   | the scene's name |
    | `kind`         | str   | the scene's kind: keep it from the agent |
    | `par`          | int   | the turns that a flawless conversation can take |
    | `facts`        | list  | what became visible in this step, as plain JSON |
    | `reward_terms` | dict  | the terms of the step's reward |
    | `malformed`    | str   | why the action was malformed, or `""` |
    | `refused`      | str   | why the shop's rules refused it, or `""` |
    | `violations`   | list  | the house rules that it broke |
    | `outcome`      | str   | at the end `closed`, `handed_over`, `left` or `out_of_turns`, else `""` |
    | `is_success`   | bool  | whether the goal was reached |

    The kinds of fact, each with the `words` that stand for it in the transcript:

    | `kind`      | Fields | Content |
    |-------------|--------|---------|
    | `said`      | `act`, `no`, `how`, `field`, `value` | what the customer said, of request `no` (from 0; -1 is themselves); `field` and `value` only where they told or were asked for something |
    | `result`    | `act`, `shows` | what a tool showed: id -> field -> value |
    | `refused`   | `act`, `why` | an act on the records that changed nothing |
    | `malformed` | `why` | a text or a value that is no action |
    | `violation` | `rule`, `term`, `why` | a breach of a house rule, and the reward term that it falls under |
    | `end`       | `why`, `goal` | how it ended, and whether the goal was reached |

    ## Version History

    * v0: Initial version
    """  # noqa: E501  (tables)

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
        catalogue=catalogue.CATALOGUE,
    )

    def __init__(self, *, store: str | Path | dict[str, Any] | Store | None = None, **arguments: Any) -> None:
        self._shop = None if store is None else scenes.shop(store)
        super().__init__(**arguments)

    def _suffix(self) -> str:
        return self._shop.suffix if self._shop else ""

    def _build(self, name: str) -> Any:
        return self._shop.build(name) if self._shop else scenes.build(name)

    def _cycle(self, split: str, difficulty: str) -> tuple[str, ...]:
        return self._shop.cycle(difficulty, split == "test") if self._shop else super()._cycle(split, difficulty)


class CustomerServiceVectorEnv(ConversationVectorEnv):
    """Many of them at once."""

    env_class = CustomerServiceEnv


make_vec = partial(viewed, CustomerServiceVectorEnv)
"""What `gym.make_vec` calls."""
