"""Anthropic's models, behind the interface that all have: messages and tools as OpenAI's protocol writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from .hosted import Endpoint
from .messages import Call, Reply, Request, encodable, written

MAX_TOKENS = 4096
"""What an answer may have where nothing is said; this API wants a number."""
FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


class _Block(msgspec.Struct):
    type: str = ""
    text: Any = None
    name: Any = None
    input: Any = None


class _Message(msgspec.Struct):
    content: list[_Block]
    stop_reason: Any = None
    usage: Any = None
    model: Any = None


class AnthropicEndpoint(Endpoint):
    """A model behind Anthropic's messages; a structured output is asked for as the call of a tool.

    Their own structured outputs take only small schemas; a tool's takes any. Seeds they do not have: that of a request
    tells it apart in a cassette, and is not sent.
    """

    provider = "anthropic"
    address = "https://api.anthropic.com"
    variables = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")

    def connect(self) -> Any:
        """The client; without a package or a key it says so now."""
        try:
            import anthropic

            from . import wire
        except ImportError:
            raise self.failure("the package anthropic is missing", INSTALL, fatal=True) from None
        options, http = self.options, wire.Client(self.options.timeout)
        try:
            client = anthropic.AsyncAnthropic(
                api_key=options.api_key,
                base_url=self.base_url,
                timeout=http.timeout,
                max_retries=options.retries,
                http_client=http,
            )
        except anthropic.AnthropicError as error:
            wrong = wire.failure(anthropic, self, error)
        else:
            if client.api_key or client.auth_token or client.credentials:
                return client
            remedy = "give api_key=... or set ANTHROPIC_API_KEY."
            wrong = self.failure("there is no key", remedy, fatal=True)
        raise wrong

    async def ask(self, asked: Request) -> Reply:
        """Make one request."""
        import anthropic

        from . import wire

        payload = self.payload(asked)
        try:
            response = await self.client.messages.with_raw_response.create(**payload)
        except anthropic.AnthropicError as error:
            wrong = error
        else:
            reply = self.reply(wire.body_of(self, response.http_response))
            if asked.response_format is not None and reply.calls:
                return msgspec.structs.replace(reply, text=reply.calls[0].arguments, calls=())
            return reply
        raise wire.failure(anthropic, self, wrong)

    def payload(self, asked: Request) -> dict[str, Any]:
        """The request as the SDK takes it."""
        settings = {name: value for name, value in asked.settings.items() if name != "seed"}
        system = [message["content"] for message in asked.messages if message["role"] == "system"]
        body: dict[str, Any] = {"system": "\n\n".join(system)} if system else {}
        if asked.response_format is not None:
            wanted = asked.response_format.get("json_schema")
            if wanted is None:
                raise ValueError(f"{self.name} takes no response_format but a json_schema: {asked.response_format!r}.")
            tool = {"name": wanted["name"], "input_schema": wanted["schema"]}
            choice: dict[str, Any] = {"type": "tool", "name": wanted["name"]}
            body |= {"tools": [tool], "tool_choice": choice | {ALONE: True}}
        elif asked.tools:
            body |= {"tools": [_tool(each["function"]) for each in asked.tools]}
            body["tool_choice"] = {"type": "any", ALONE: True}
        body = {name: value for name, value in (body | settings).items() if value is not None}
        most = body.pop("max_tokens", MAX_TOKENS)
        return {"model": self.model, "max_tokens": most, "messages": turns(asked.messages), "extra_body": body}

    def reply(self, body: bytes) -> Reply:
        """The answer in a body."""
        from . import wire

        found = wire.read(self, body, _Message)
        calls = tuple(_call(block) for block in found.content if block.type == "tool_use")
        text = "".join(written(block.text) for block in found.content if block.type == "text")
        finish = written(found.stop_reason)
        usage = found.usage if isinstance(found.usage, dict) else {}
        tokens_in = [wire.count(usage.get(name)) for name in TOKENS_IN]
        return Reply(
            text=text,
            calls=calls,
            tokens_in=None if tokens_in[0] is None else sum(filter(None, tokens_in)),
            tokens_out=wire.count(usage.get("output_tokens")),
            finish=FINISH.get(finish, finish),
            refusal=(text or "The model declined.") if finish == "refusal" else "",
            model=written(found.model),
        )


def turns(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages but the system's, as roles that alternate; empty texts are left out, since none are taken."""
    found: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "system" or not (blocks := _blocks(message)):
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        if found and found[-1]["role"] == role:
            found[-1]["content"] += blocks
        else:
            found.append({"role": role, "content": blocks})
    return found


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    text = message.get("content") or ""
    if message["role"] == "tool":
        return [{"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": text}]
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}] if text.strip() else []
    for call in message.get("tool_calls") or ():
        function = call["function"]
        given = json.loads(function["arguments"])
        blocks.append({"type": "tool_use", "id": call["id"], "name": function["name"], "input": given})
    return blocks


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": function["description"]} if "description" in function else {}
    return {"name": function["name"], **described, "input_schema": function["parameters"]}


def _call(block: _Block) -> Call:
    return Call(written(block.name), encodable(json.dumps(block.input, ensure_ascii=False)))


INSTALL = 'pip install "stateset-gym[anthropic]"'
ALONE = "disable_parallel_tool_use"
TOKENS_IN = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
