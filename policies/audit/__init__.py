"""The audit: it certifies that an environment is sound, and shows where it is not."""

from .base import Finding, Outcome
from .jobs import CHECKS, QUICK, Size
from .run import Report, audit

__all__ = ["CHECKS", "QUICK", "Finding", "Outcome", "Report", "Size", "audit"]
