"""The demo's page: static HTML that works from disk, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from ..pipeline import Interrogation, RankedPhrase

_LABELS = {"precise": "Precise", "best": "Best", "fast": "Fast", "classic": "Classic", "negative": "Negative"}


@dataclass(frozen=True)
class Exhibit:
    """One drawn picture, its true caption, and what the models say of it by mode."""

    file: str
    truth: str
    results: dict[str, Interrogation]
    mediums: list[RankedPhrase]


def demo_page(exhibits: Sequence[Exhibit]) -> str:
    """The whole page."""
    template = Template(files(__package__).joinpath("demo_page.html").read_text(encoding="utf-8"))
    return template.substitute(cards="\n".join(map(_card, exhibits)), count=len(exhibits))


def _card(exhibit: Exhibit) -> str:
    precise = exhibit.results["precise"]
    caption = precise.caption
    verdict = "as drawn" if caption == exhibit.truth else f"drawn: {escape(exhibit.truth)}"
    prompts = "".join(_prompt(_LABELS[mode], result) for mode, result in exhibit.results.items())
    return f"""<article>
  <img src="{escape(exhibit.file)}" alt="{escape(exhibit.truth)}">
  <div>
    <h2>{escape(caption)}</h2>
    <p class="truth">{verdict}</p>
    <dl>{prompts}</dl>
    {_bars("Mediums by similarity", [(phrase, phrase.similarity) for phrase in exhibit.mediums])}
    {_bars("Phrases by evidence", [(phrase, phrase.evidence or 0.0) for phrase in precise.phrases])}
  </div>
</article>"""


def _prompt(label: str, result: Interrogation) -> str:
    similarity = "" if result.similarity is None else f"{result.similarity:.3f}"
    return f'<dt>{label} <span class="number">{similarity}</span></dt><dd>{escape(result.prompt)}</dd>'


def _bars(title: str, phrases: Sequence[tuple[RankedPhrase, float]]) -> str:
    """A table of phrases with a number from 0 to 1 each, as a bar and in figures."""
    if not phrases:
        return ""
    rows = "".join(
        f'<tr><td>{escape(phrase.text)}</td><td class="bank">{escape(phrase.bank)}</td>'
        f'<td class="bar"><i style="width:{max(0.0, value) * 100:.1f}%"></i></td>'
        f'<td class="number">{value:.3f}</td></tr>'
        for phrase, value in phrases
    )
    return f"<h3>{title}</h3><table>{rows}</table>"
