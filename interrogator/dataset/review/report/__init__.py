"""The report of a run: a page to look at, and the same for machines."""

from .writer import INLINE_PICTURES, PAGE, SUMMARY, write_report

__all__ = ["INLINE_PICTURES", "PAGE", "SUMMARY", "write_report"]
