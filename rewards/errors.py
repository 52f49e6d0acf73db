"""What can fail beside the agent."""

from __future__ import annotations


class InfrastructureError(RuntimeError):
    """Something that an episode needs has failed: the episode is not measured, and nobody is to blame in it.

    `fatal` says that it would fail again: a run stops there.
    """

    def __init__(self, what: str, where: str, remedy: str, fatal: bool = False) -> None:
        super().__init__(f"{what} ({where}): {remedy}")
        self.what, self.where, self.remedy, self.fatal = what, where, remedy, fatal

    def __reduce__(self) -> tuple[type[InfrastructureError], tuple[str, str, str, bool]]:
        return type(self), (self.what, self.where, self.remedy, self.fatal)
