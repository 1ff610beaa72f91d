"""The page of `interrogator bench`: one HTML file without scripts that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from ..errors import RequestError
from ..evaluation.agreement import phrases_of
from .tables import Table
from .terminal import printable, say

_PAGE = "index.html"
# Pictures that a browser shows without delay.
_MOST_PICTURES = 500


@dataclass(frozen=True)
class Shown:
    """A picture on the page.

    Attributes:
        thumbnail: a JPEG.
        prompts: by mode.
        right: by mode, whether each phrase of the prompt is right.
    """

    name: str
    thumbnail: bytes
    truth: str
    prompts: Mapping[str, str]
    right: Mapping[str, Sequence[bool]]


def check_folder(out: str) -> None:
    """Make the folder of the page before anything is measured. Raises RequestError: that is not possible."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"cannot write to {out}: {error.strerror or error}") from error


def write_page(folder: Path, heading: str, tables: Sequence[Table], pictures: Sequence[Shown] = ()) -> None:
    """Write the page. Raises RequestError: the folder cannot be written to."""
    text = page(heading, tables, pictures)
    try:
        (folder / _PAGE).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise RequestError(f"cannot write to {folder}: {error.strerror or error}") from error
    say(f"open {(folder / _PAGE).resolve()} in a browser")


def page(heading: str, tables: Sequence[Table], pictures: Sequence[Shown] = ()) -> str:
    """The page as text, everything from outside escaped."""
    template = Template(files(__package__).joinpath("bench_page.html").read_text(encoding="utf-8"))
    style = template.template.partition("<style>")[2].partition("</style>")[0]
    rows = "\n".join(_picture(each) for each in pictures[:_MOST_PICTURES])
    if len(pictures) > _MOST_PICTURES:
        rows += f"\n<p>The first {_MOST_PICTURES} of {len(pictures)} pictures are shown.</p>"
    return template.substitute(
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        heading=escape(heading), tables="\n".join(map(_table, tables)),
        pictures=f"<h2>Pictures</h2>\n<p>What the true prompt says or means is marked.</p>\n{rows}" if rows else "",
    )  # fmt: skip


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in table.rows
    )
    explained = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in table.explained)
    return (
        f'<section><h2>{escape(table.title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{f'<dl>{explained}</dl>' if explained else ''}</section>"
    )


def _picture(shown: Shown) -> str:
    data = base64.b64encode(shown.thumbnail).decode()
    prompts = "".join(
        f"<dt>{escape(mode)}</dt><dd>{marked(prompt, shown.right[mode])}</dd>" for mode, prompt in shown.prompts.items()
    )
    return f"""<article>
<img src="data:image/jpeg;base64,{data}" alt="">
<div><h3>{escape(printable(shown.name))}</h3>
<dl><dt>true prompt</dt><dd class="truth">{escape(shown.truth)}</dd>{prompts}</dl></div>
</article>"""


def marked(prompt: str, right: Sequence[bool]) -> str:
    """A prompt as HTML, its right phrases marked. right: of each of its phrases, see `phrases_of`."""
    parts, at = [], 0
    for phrase, is_right in zip(phrases_of(prompt), right, strict=True):
        if is_right and phrase.start >= at:
            parts += [escape(prompt[at : phrase.start]), f"<mark>{escape(prompt[phrase.start : phrase.end])}</mark>"]
            at = phrase.end
    return "".join([*parts, escape(prompt[at:])])
