"""Models on servers that speak OpenAI's protocol: OpenAI's own, vLLM, transformers, Ollama and the like."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from .hosted import Endpoint
from .messages import Call, Reply, Request, written


class _Function(msgspec.Struct):
    name: str
    arguments: Any = None


class _Custom(msgspec.Struct):
    name: str
    input: Any = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None
    custom: _Custom | None = None


class _Part(msgspec.Struct):
    text: Any = None
    refusal: Any = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: Any = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: Any = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: Any = None
    model: Any = None


class OpenAIEndpoint(Endpoint):
    """A model behind OpenAI's chat completions.

    What the filter of a provider withholds is an answer, as a refusal is: whoever deploys the model deploys the
    filter with it, and it would decline again.
    """

    provider = "openai"
    address = "https://api.openai.com/v1"
    variables = ("OPENAI_API_KEY",)
    left_out: frozenset[str] = frozenset()
    """Parameters that the server has said not to know."""

    def connect(self) -> Any:
        """The client; without a package or a key it says so now."""
        try:
            import openai

            from .wire import Client
        except ImportError:
            raise self.failure("the package openai is missing", INSTALL, fatal=True) from None
        if not self.keys:
            remedy = "give api_key=... or set OPENAI_API_KEY (any text, for a server that asks for none)."
            raise self.failure("there is no key", remedy, fatal=True)
        http = Client(self.options.timeout)
        return openai.AsyncOpenAI(
            api_key=self.keys[0],
            base_url=self.base_url,
            timeout=http.timeout,
            max_retries=self.options.retries,
            http_client=http,
        )

    async def ask(self, asked: Request) -> Reply:
        """Make one request."""
        import openai

        from . import wire

        try:
            response = await self.client.chat.completions.with_raw_response.create(**self.payload(asked))
        except openai.OpenAIError as error:
            wrong = error
        else:
            return self.reply(wire.body_of(self, response.http_response))
        status, told = wire.told(wrong)
        if status == 400 and FILTER in told:
            return Reply(finish=FILTER, refusal=wire.clipped(self.hidden(told)))
        if status in (400, 422) and PARALLEL in told and PARALLEL not in self.left_out:
            self.left_out |= {PARALLEL}
            return await self.ask(asked)
        raise wire.failure(openai, self, wrong)

    def payload(self, asked: Request) -> dict[str, Any]:
        """The request as the SDK takes it; what it may not know goes into the body as it is."""
        body: dict[str, Any] = {}
        if asked.tools:
            body |= {"tools": asked.tools, "tool_choice": "required", PARALLEL: False}
        if asked.response_format is not None:
            body["response_format"] = asked.response_format
        body |= asked.settings
        if "max_tokens" in body and is_theirs(self.base_url):
            body["max_completion_tokens"] = body.pop("max_tokens")  # its newer models know only this
        body = {name: value for name, value in body.items() if value is not None and name not in self.left_out}
        return {"model": self.model, "messages": asked.messages, "extra_body": body}

    def reply(self, body: bytes) -> Reply:
        """The answer in a body; a body that holds none is the server's failure."""
        from . import wire

        completion = wire.read(self, body, _Completion)
        if not completion.choices:
            raise self.failure("the answer holds no choice", wire.CHECK)
        choice = completion.choices[0]
        message, usage = choice.message, completion.usage if isinstance(completion.usage, dict) else {}
        content = message.content
        parts = content if isinstance(content, list) else [_Part(content)]
        holding: list[_Message | _Part] = [message, *parts]
        return Reply(
            text="".join(written(part.text) for part in parts),
            calls=tuple(self._call(call) for call in message.tool_calls or ()),
            tokens_in=wire.count(usage.get("prompt_tokens")),
            tokens_out=wire.count(usage.get("completion_tokens")),
            finish=written(choice.finish_reason),
            refusal="".join(written(each.refusal) for each in holding),
            model=written(completion.model),
        )

    def _call(self, call: _ToolCall) -> Call:
        """A call as it was made; the arguments are what the model wrote, whatever it is."""
        from . import wire

        if call.function is not None:
            return Call(written(call.function.name), written(call.function.arguments))
        if call.custom is not None:
            return Call(written(call.custom.name), written(call.custom.input))
        raise self.failure("the answer holds a tool call of no function", wire.CHECK)


def is_theirs(address: str) -> bool:
    """Whether an address is one of OpenAI's own, or of their models on Azure."""
    return (urlsplit(address).hostname or "").endswith((".openai.com", ".openai.azure.com"))


INSTALL = 'pip install "stateset-gym[openai]"'
FILTER = "content_filter"
PARALLEL = "parallel_tool_calls"
