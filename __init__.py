"""StateSet Gym: train, compare and unit-test agents that hold structured-action conversations."""

import gymnasium

__all__ = ["__version__"]

__version__ = "0.1.0"


def _register(name: str, folder: str) -> None:
    """Register an environment and its vector environment; entry points are strings, so that nothing is imported yet."""
    module = f"stateset_gym.envs.{folder}.env"
    gymnasium.register(
        f"StateSet/{name}-v0", entry_point=f"{module}:{name}Env", vector_entry_point=f"{module}:make_vec"
    )


_register("Echo", "echo")
_register("CustomerService", "customer_service")
_register("TicketTriage", "ticket_triage")
