"""StateSet Gym: train, compare and unit-test agents that hold structured-action conversations."""

import gymnasium

__all__ = ["__version__"]

__version__ = "0.1.0"

# Entry points are strings, so that importing the package imports no environment.
gymnasium.register("StateSet/Echo-v0", entry_point="stateset_gym.envs.echo.env:EchoEnv")
gymnasium.register(
    "StateSet/CustomerService-v0", entry_point="stateset_gym.envs.customer_service.env:CustomerServiceEnv"
)
gymnasium.register("StateSet/TicketTriage-v0", entry_point="stateset_gym.envs.ticket_triage.env:TicketTriageEnv")
