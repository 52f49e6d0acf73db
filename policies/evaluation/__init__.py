"""Evaluation: how a policy does on many scenes, how sure that is, and which of two does better."""

from .comparison import Comparison, compare
from .evaluate import evaluate
from .figures import Figures, NothingMeasured
from .report import Collector, Report
from .statistics import Interval

__all__ = ["Collector", "Comparison", "Figures", "Interval", "NothingMeasured", "Report", "compare", "evaluate"]
