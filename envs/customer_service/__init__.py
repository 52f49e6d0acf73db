"""A retail shop's support desk; its records and rules serve without the environment too."""

from .store import STORE_SCHEMA, BadStore, Refused, Result, Store

__all__ = ["STORE_SCHEMA", "BadStore", "Refused", "Result", "Store"]
