"""Hits as HTML: one element for all of them, for Streamlit takes its time for each."""

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from bookbrain.citation import citation
from bookbrain.model import Hit, LegHit
from bookbrain.web.frame import WIDTH, link, picture, tongue, tr
from bookbrain.wording import fill


def hits_html(hits: Sequence[Hit], query: str, folded: bool) -> str:
    """A list of the hits; `folded` puts the further ones of a book below its first one.

    What a book says, or a query, is text in it; snippets are HTML already.
    """
    groups = _by_book(hits) if folded else [[hit] for hit in hits]
    items = "".join(f"<li>{_group(group, query)}</li>" for group in groups)
    return f'<ol class="hits" data-query="{quote(query.strip())}">{items}</ol>'


def _by_book(hits: Sequence[Hit]) -> Iterable[list[Hit]]:
    books: dict[str, list[Hit]] = {}
    for hit in hits:
        books.setdefault(hit.book_id, []).append(hit)
    return books.values()


def _group(hits: Sequence[Hit], query: str) -> str:
    first, *others = hits
    if not others:
        return _hit(first, query)
    more = escape(tr(fill("More pages of this book: {count}", count=len(others))))
    rest = "".join(_hit(hit, query) for hit in others)
    folded = f'<details class="more"><summary>{more}</summary>{rest}</details>'
    return _hit(first, query) + folded


def _hit(hit: Hit, query: str) -> str:
    page = link("/read", book=hit.book_id, page=hit.page, find=query)
    soon = picture(hit.book_id, hit.page, query, WIDTH)
    place = escape(" · ".join(filter(None, (tr(hit.place), hit.chapter))))
    return (
        f'<article class="hit"><h2><a class="open" href="{page}" data-picture="{soon}">'
        f"{escape(hit.title)}</a></h2>"
        f'<p class="where">{place}</p><p>{hit.snippet}</p>{_duplicates(hit, query)}{_doing(hit)}'
        "</article>"
    )


def _duplicates(hit: Hit, query: str) -> str:
    if not hit.duplicates:
        return ""
    links = (
        f'<a href="{link("/read", book=other.book_id, page=other.page, find=query)}">'
        f"{escape(other.title)}, {escape(tr(other.place))}</a>"
        for other in hit.duplicates
    )
    return f'<p class="where">{escape(tr("Nearly the same"))}: {" · ".join(links)}</p>'


def _doing(hit: Hit) -> str:
    """What can be done with a hit; each with a name that tells it from that of other hits."""
    about = f'<span class="unseen">: {escape(hit.title)}, {escape(tr(hit.place))}</span>'
    similar, copy = escape(tr("Similar")), escape(tr("Copy as a citation"))
    why, done = escape(tr("Why")), escape(tr("Copied"))
    like = link("/", similar=f"{hit.book_id}:{hit.page}")
    # Percent-encoded: Streamlit drops attributes that hold an end of a script or of a comment.
    quoted = quote(citation(hit, tongue()))
    return (
        f'<div class="doing"><a href="{like}">{similar}{about}</a>'
        f'<button type="button" data-copy="{quoted}" data-done="{done}">{copy}{about}</button>'
        f"<details><summary>{why}{about}</summary><p>{escape(_why(hit))}</p></details></div>"
    )


def _why(hit: Hit) -> str:
    """Each leg's rank and score, the score of both together, and the file."""
    legs = (
        _leg(tr("by keyword"), hit.why.keyword),
        _leg(tr("by meaning"), hit.why.vector),
        f"{tr('together')}: {hit.score:.2f}",
        hit.file,
    )
    return " · ".join(filter(None, legs))


def _leg(name: str, leg: LegHit | None) -> str:
    return f"{name}: {tr('rank')} {leg.rank}, {tr('score')} {leg.score:.2f}" if leg else ""
