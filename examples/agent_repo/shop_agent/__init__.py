"""An agent for a shop's support desk: it answers questions about orders and cancels them."""

from .agent import ShopAgent, make

__all__ = ["ShopAgent", "make"]
