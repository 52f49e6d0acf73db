"""Rewards: named terms, computed from plain facts."""

from .terms import PRICES, TERMS, Prices, Reward

__all__ = ["PRICES", "TERMS", "Prices", "Reward"]
