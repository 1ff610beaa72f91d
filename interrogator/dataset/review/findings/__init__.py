"""What a person should know about a run's captions and pictures, found in one pass over its records."""

from .finding import SHOWN, Finding, Findings, ScoreSummary, TagCount
from .left_out import findings_of_left_out
from .search import LOW_ITM, find

__all__ = ["LOW_ITM", "SHOWN", "Finding", "Findings", "ScoreSummary", "TagCount", "find", "findings_of_left_out"]
