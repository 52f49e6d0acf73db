"""The audit: it certifies that an environment is sound, and shows where it is not."""

from .base import Finding, Outcome
from .run import CHECKS, QUICK, Report, Size, audit

__all__ = ["CHECKS", "QUICK", "Finding", "Outcome", "Report", "Size", "audit"]
