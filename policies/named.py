"""What a user names as `module:name`."""

from __future__ import annotations

import os
import pkgutil
import sys
from typing import Any

from ..envs.errors import BadArgument


def named(what: str, name: str) -> Any:
    """What `module:name` stands for; modules of the folder where one works are found. `what` begins what goes wrong."""
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise BadArgument(f"{what} is not known: write 'module:name'.")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return pkgutil.resolve_name(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise BadArgument(f"{what}: there is no module {error.name!r} on the path.") from None
    except AttributeError:
        raise BadArgument(f"{what}: {module} has no {attribute!r}.") from None
    except ValueError:
        raise BadArgument(f"{what} is not known: write 'module:name'.") from None
