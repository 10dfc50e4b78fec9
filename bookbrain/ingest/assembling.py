"""What was read of a PDF becomes a book: lines joined, each page with its label and chapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bookbrain.ingest import outline, quality
from bookbrain.ingest.cleaning import clean
from bookbrain.ingest.joining import join_lines
from bookbrain.ingest.outline import OutlineEntry
from bookbrain.model import BookText, Page


@dataclass(frozen=True, slots=True)
class RawPage:
    """The clean lines of a page; none where there is a `problem`."""

    lines: str
    problem: str


@dataclass(frozen=True, slots=True)
class RawBook:
    """What a reader found in the PDF at `path`; there is a label for each page, or for none."""

    path: Path
    title: str
    pages: Sequence[RawPage]
    outline: Sequence[OutlineEntry]
    labels: Sequence[str]


def assemble(raw: RawBook) -> BookText:
    """The book, with labels, chapters and problems."""
    titles = outline.titles_by_page(raw.outline)
    labels = raw.labels or [""] * len(raw.pages)
    joined = join_lines([page.lines for page in raw.pages])
    pages, chapter = [], ""
    for index, (page, text) in enumerate(zip(raw.pages, joined, strict=True)):
        headings = outline.headings(titles.get(index, []), text)
        label = clean(labels[index])[:40].strip() or str(index + 1)
        pages.append(Page(index + 1, label, chapter, text, headings, page.problem))
        chapter = headings[-1].title if headings else chapter
    return BookText(_title(raw.title, raw.path), tuple(pages))


def _title(title: str, path: Path) -> str:
    """The document's own title where it is one, else "" (the caller knows the file's name)."""
    name = " ".join(clean(title).replace("\x02", "").split())
    junk = not any(map(str.isalpha, name)) or name.lower().startswith(
        ("untitled", "microsoft word")
    )
    is_file = name.lower().endswith((".pdf", ".doc", ".docx", ".dvi", ".tex", ".indd", ".qxd"))
    return "" if junk or is_file or quality.is_garbled(title) or path.stem == name else name[:300]
