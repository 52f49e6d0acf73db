"""A language model on this machine as a policy: batched, with one key-value cache per conversation."""

from ...envs.errors import BadArgument

try:
    from .load import Loaded
    from .policy import Local
    from .prompt import PLAIN
    from .talk import Tokens
except ModuleNotFoundError as error:
    if error.name not in ("torch", "transformers"):
        raise
    raise BadArgument(f'hf:PATH needs the package {error.name}: pip install "stateset-gym[llm]".') from None

__all__ = ["PLAIN", "Loaded", "Local", "Tokens"]
