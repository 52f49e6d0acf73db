"""A hosted model plays the customer: it reads what was said and answers with one act, which is held to the scene.

What it gets wrong it is asked again, with the reason. If it never gets it right, the episode is not measured: neither
does the agenda step in, nor is the agent blamed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary

import msgspec

from ..rewards.errors import InfrastructureError
from .actions import Action, Speech
from .errors import BadArgument
from .parse import Malformed, object_in
from .parts import Line, Parts, Role
from .plain import clip
from .turns import Turn

if TYPE_CHECKING:
    from ..rewards.endpoint import Endpoint, Reply

PROVIDERS = ("openai", "anthropic")
TRIES = 4
"""How often a model is asked for one act."""
HELP = "give 'agenda', 'openai:MODEL', 'anthropic:MODEL', a dict with such a 'model' and its options, or a callable"
SECRET, ADDRESS = "api_key", "base_url"
STYLE = "customer"
"""What a cassette notes the server's style under."""
SHOWN = 300
"""Characters of a model's last fault that an error tells."""
LONGEST = 4_000
"""Characters of a model's answer that it is shown again."""

Customer = Callable[..., dict[str, Any]]


class ModelCustomer:
    """A model that plays customers; it keeps nothing from one call to the next, so that one serves many conversations.

    `options` are `tries` and those of the endpoint, such as `base_url`, `temperature` and `cassette`.
    """

    def __init__(self, model: str, *, tries: int = TRIES, **options: Any) -> None:
        self.model, self.tries = model, tries
        self._endpoint = _endpoint(model, options)
        self._users: WeakSet[Any] = WeakSet()
        self._plain = False

    def join(self, env: object) -> None:
        """An environment begins to use this."""
        self._users.add(env)

    def leave(self, env: object) -> None:
        """An environment is closed; with the last one connections and cassette are."""
        if env in self._users:
            self._users.discard(env)
            if not self._users:
                self._endpoint.close()

    def play(self, role: Role, turn: Turn, act: Action) -> dict[str, Any]:
        """The customer's act that answers the agent's, after a turn."""
        heard = [*lines(turn), act]
        rules, moment = role.prompt(heard)
        messages = [{"role": "system", "content": rules}, {"role": "user", "content": moment}]
        tag = f"customer/{turn.scene.name}/{turn.number + 1}"
        reason = ""
        for attempt in range(self.tries):
            reply = self._ask(messages, role, tag, _seed(tag) + attempt)
            try:
                return role.held(_answer(reply), heard)
            except BadArgument as error:
                reason = str(error)
            messages = [*messages[:2], *_again(reply.text, reason)]
        raise InfrastructureError(
            f"The customer's model did not give a valid act in {self.tries} tries",
            f"{self.model}, {turn.scene.name}, turn {turn.number + 1}; at last: {clip(reason.splitlines()[0], SHOWN)}",
            "let a stronger model play the customer, or give it more 'tries'",
        )

    def _ask(self, messages: list[dict[str, str]], role: Role, tag: str, seed: int) -> Reply:
        """Ask for a structured output, or where the server has none for plain text.

        A cassette answers equal requests equally (`once`): trials of a scene that go the same way are indeed alike,
        and neither their order nor their number counts.
        """
        from ..rewards.endpoint import Unsupported

        if self._endpoint.recall(STYLE) != "text" and not self._plain:
            try:
                return self._endpoint.chat(messages, response_format=role.format, seed=seed, tag=tag, once=True)
            except Unsupported:
                self._plain = True
                self._endpoint.note(STYLE, "text")
        return self._endpoint.chat(messages, seed=seed, tag=tag, once=True)


def player_of(customer: Any, parts: Parts) -> ModelCustomer | Customer | None:
    """Who plays the customer, by the argument `customer`; `None` is the agenda."""
    if customer == "agenda":
        return None
    spec = {"model": customer} if isinstance(customer, str) else customer
    if isinstance(spec, Mapping):
        name = spec.get("model")
        provider, _, model = name.partition(":") if isinstance(name, str) else ("", "", "")
        if provider not in PROVIDERS or not model:
            raise BadArgument(f"customer={_shown(customer)} is not known: {HELP}.")
    elif not callable(customer):
        raise BadArgument(f"customer={customer!r} is not known: {HELP}.")
    if not parts.answers:
        raise BadArgument(f"customer={_shown(customer)}: {parts.name} has no customer who answers; leave it out.")
    return _shared(spec) if isinstance(spec, Mapping) else customer


_playing: WeakValueDictionary[bytes, ModelCustomer] = WeakValueDictionary()


def _shared(spec: Mapping[str, Any]) -> ModelCustomer:
    """The model of these options: like environments of a process share it, and the connections that it holds."""
    if SECRET in spec:
        raise BadArgument(
            f"customer={_shown(spec)} holds an {SECRET!r}, and what an environment is made with is written into "
            f"traces: set the provider's variable (such as OPENAI_API_KEY) instead."
        )
    if _is_private(spec.get(ADDRESS)):
        raise BadArgument(
            f"customer={_shown(spec)}: its {ADDRESS!r} holds a user, a query or a fragment, and what an environment is "
            f"made with is written into traces: give the bare address, and the key in the provider's variable (such as "
            f"OPENAI_API_KEY)."
        )
    tries = spec.get("tries", TRIES)
    if isinstance(tries, bool) or not isinstance(tries, int) or tries < 1:
        raise BadArgument(f"customer={_shown(spec)}: 'tries' must be a whole number from 1 up, not {tries!r}.")
    try:
        key = msgspec.json.encode(spec, order="deterministic")
        plain = msgspec.json.decode(key) == spec
    except (TypeError, ValueError, OverflowError, RecursionError):
        plain = False
    if not plain:
        raise BadArgument(f"customer={_shown(spec)} is no plain data: its options must be what JSON can hold.")
    found = _playing.get(key)
    if found is None:
        found = _playing[key] = ModelCustomer(**spec)
    return found


def _shown(customer: Any) -> str:
    """The argument as it was given, but for a key, or an address that may hold one."""
    if not isinstance(customer, Mapping):
        return repr(customer)
    return repr(
        {
            name: "..." if name == SECRET or (name == ADDRESS and _is_private(value)) else value
            for name, value in customer.items()
        }
    )


def _is_private(address: Any) -> bool:
    """Whether an address has more to it than host and path."""
    return isinstance(address, str) and any(sign in address for sign in "@?#")


def _endpoint(model: str, options: dict[str, Any]) -> Endpoint:
    from ..rewards.endpoint import endpoint

    parameters = inspect.signature(endpoint).parameters.values()
    known = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name != SECRET]
    unknown = sorted({*options} - {*known})
    if unknown and not any(each.kind is each.VAR_KEYWORD for each in parameters):
        raise BadArgument(f"customer={model!r} is given {unknown}: only model, tries, {', '.join(known)} are known.")
    try:
        return endpoint(model, **options)
    except ValueError as error:
        raise BadArgument(f"customer={_shown({'model': model, **options})}: {error}") from None


def lines(turn: Turn) -> Iterator[Line]:
    """What customer and agent have said to each other up to a turn; what tools and the desk show nobody hears."""
    for each in turn.path():
        if isinstance(each.act, Speech):
            yield each.act
        if isinstance(each.act, Speech) or each.parent is None:
            notes = [words for fact in each.facts if fact["kind"] != "said" for words in fact["words"]]
            yield each.content.removeprefix("\n".join([*notes, ""]))


def _answer(reply: Reply) -> Any:
    """The act in a model's reply; a `BadArgument` where there is none."""
    if reply.refusal:
        raise BadArgument(f"There is no act in the reply, but a refusal: {reply.refusal}")
    found = object_in(reply.text or "")
    if isinstance(found, Malformed):
        cut = " (the reply was cut off)" if reply.finish == "length" else ""
        raise BadArgument(f"There is no act in the reply: {found.reason}{cut}.")
    return found


def _again(text: str, reason: str) -> list[dict[str, str]]:
    """The model's last reply, and what is wrong with it."""
    return [
        {"role": "assistant", "content": clip(text, LONGEST) or "(nothing)"},
        {"role": "user", "content": f"This cannot be played. {reason}\nAnswer again, with one JSON object."},
    ]


def _seed(tag: str) -> int:
    return int.from_bytes(blake2b(tag.encode(), digest_size=4).digest()) >> 1
