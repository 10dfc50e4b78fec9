"""Hits as HTML: one element for all of them, for Streamlit takes its time for each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bookbrain.citation import citation
from bookbrain.model import Hit, LegHit
from bookbrain.translation import Language, translated
from bookbrain.web.frame import link

_READER = "/read"


@dataclass(frozen=True, slots=True)
class Drawing:
    """For whom and how: `folded` puts the further hits of a book below its first one."""

    language: Language
    query: str
    folded: bool = False

    def tr(self, text: str) -> str:
        return escape(translated(text, self.language))


def hits_html(hits: Sequence[Hit], drawing: Drawing) -> str:
    """A list of the hits; what a book says is text in it."""
    groups = [list(group) for group in _groups(hits, drawing.folded)]
    items = "".join(f"<li>{_group(group, drawing)}</li>" for group in groups)
    return f'<ol class="hits" data-query="{escape(drawing.query.strip())}">{items}</ol>'


def _groups(hits: Sequence[Hit], folded: bool) -> Iterator[list[Hit]]:
    if not folded:
        yield from ([hit] for hit in hits)
        return
    books = dict.fromkeys(hit.book_id for hit in hits)
    for book in books:
        yield [hit for hit in hits if hit.book_id == book]


def _group(hits: Sequence[Hit], drawing: Drawing) -> str:
    first, *others = hits
    html = _hit(first, drawing)
    if others:
        head = drawing.tr(f"More pages of this book: {len(others)}")
        rest = "".join(_hit(hit, drawing) for hit in others)
        html += f'<details class="more"><summary>{head}</summary>{rest}</details>'
    return html


def _hit(hit: Hit, drawing: Drawing) -> str:
    """Its snippet is HTML already."""
    page = link(_READER, book=hit.book_id, page=hit.page, q=drawing.query)
    place = " · ".join(filter(None, (drawing.tr(where(hit)), escape(hit.chapter))))
    return (
        f'<article class="hit"><h2><a class="open" href="{page}">{escape(hit.title)}</a></h2>'
        f'<p class="where">{place}</p><p>{hit.snippet}</p>{_doing(hit, drawing)}</article>'
    )


def _doing(hit: Hit, drawing: Drawing) -> str:
    """What can be done with a hit; each with a name that tells it from the same of other hits."""
    tr = drawing.tr
    about = f"{escape(hit.title)}, {tr(f'p. {hit.page_label}')}"
    like = link("/", similar=f"{hit.book_id}:{hit.page}")
    quoted = escape(citation(hit, drawing.language))
    return (
        f'<div class="doing"><a href="{like}" aria-label="{tr("Similar")}: {about}">'
        f'{tr("Similar")}</a><button type="button" data-copy="{quoted}" data-done="{tr("Copied")}"'
        f' aria-label="{tr("Copy as a citation")}: {about}">{tr("Copy as a citation")}</button>'
        f'<details><summary aria-label="{tr("Why")}: {about}">{tr("Why")}</summary>'
        f"{_why(hit, drawing)}</details></div>"
    )


def _why(hit: Hit, drawing: Drawing) -> str:
    """Each leg's rank and score, the score of both together, and the file."""
    tr = drawing.tr
    legs = (
        _leg(tr("by keyword"), hit.why.keyword, drawing),
        _leg(tr("by meaning"), hit.why.vector, drawing),
        f"{tr('together')}: {hit.score:.2f}",
        escape(hit.file),
    )
    return f"<p>{' · '.join(filter(None, legs))}</p>"


def _leg(name: str, leg: LegHit | None, drawing: Drawing) -> str:
    if leg is None:
        return ""
    return f"{name}: {drawing.tr('rank')} {leg.rank}, {drawing.tr('score')} {leg.score:.2f}"


def where(hit: Hit) -> str:
    """The printed page, and the physical one where that is another."""
    if hit.page_label == str(hit.page):
        return f"p. {hit.page_label}"
    return f"p. {hit.page_label} (page {hit.page} of the file)"
