"""PDFs that harm their reader. What each does was seen with pypdfium2 5.15 (PDFium 159.0.8149).

`hang`          FPDF_LoadPage does not come back for hours; memory stays at 40 MB
`balloon`       the page, or its text, asks for many GB: under RLIMIT_AS the process gets SIGABRT
`crash`         the page reads well; asking for its label overflows the stack: SIGSEGV
`long_titles`   outline titles, a document title and page labels of millions of characters
`shared_text`   many pages that share one content stream: little to store, much to read
`lying_count`   a page tree that claims more pages than it has; each of them fails by itself
`no_pages`      a valid PDF with an empty page tree: "Failed to load document", for the reason
                "Success", or for what was wrong with the file before
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from support.raw_pdf import CATALOG, ONE_PAGE, document, page, stream

# 1,000,000 vertices, measured anew by each `sh` while the page is loaded: 24 ms each.
_MESH = stream(
    bytes(6_000_000),
    b"/ShadingType 4 /ColorSpace /DeviceGray /BitsPerCoordinate 16 /BitsPerComponent 8 "
    b"/BitsPerFlag 8 /Decode [0 1 0 1 0 1]",
    deflated=1,
)


def hang(path: Path, repeats: int = 1_000_000) -> Path:
    """Some 24 ms of work for each of `repeats`, in 15 kB: loading the only page takes hours."""
    objects = [
        CATALOG,
        ONE_PAGE,
        page(b"4 0 R", b"/Shading << /S 5 0 R >>"),
        stream(b"/S sh\n" * repeats, deflated=1),
        _MESH,
    ]
    path.write_bytes(document(objects))
    return path


def balloon(path: Path, kind: Literal["stream", "forms", "text"] = "stream") -> Path:
    """A few kB that need more than 2 GB, each within 10 s.

    `stream`  a content stream deflated twice over, four times 900 MB: one huge request at once
    `forms`   forms that draw each other, 10 at each of 12 levels: 250 MB/s in small pieces
    `text`    25 million characters on one page: the page loads, its text is too much
    """
    make: dict[str, Callable[[], list[bytes]]] = {
        "stream": _stream_bomb,
        "forms": _form_bomb,
        "text": _text_bomb,
    }
    path.write_bytes(document([CATALOG, ONE_PAGE, *make[kind]()]))
    return path


def _stream_bomb(megabytes: int = 900) -> list[bytes]:
    zeros = stream(_deflated_zeros(megabytes), deflated=1).replace(
        b"[/FlateDecode ]", b"[/FlateDecode /FlateDecode]"
    )
    return [page(b"[4 0 R 4 0 R 4 0 R 4 0 R]"), zeros]


def _deflated_zeros(megabytes: int) -> bytes:
    """What zlib.compress(bytes(megabytes << 20)) holds, without ever holding the zeros."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    adler = (((megabytes << 20) % 65521) << 16 | 1).to_bytes(4, "big")
    return b"\x78\xda" + block * megabytes + b"\x03\x00" + adler


def _form_bomb(width: int = 10, depth: int = 12) -> list[bytes]:
    draw = b"/F Do\n" * width
    head = b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << %s >>"
    levels = [
        stream(draw, head % (b"/XObject << /F %d 0 R >>" % (6 + level))) for level in range(depth)
    ]
    return [page(b"4 0 R", b"/XObject << /F 5 0 R >>"), stream(draw), *levels, stream(b"", head)]


def _text_bomb() -> list[bytes]:
    line = b"1 0 0 1 9 %d Tm (%s) Tj\n"
    lines = b"".join(line % (20 + i % 700, b"%09d " % i * 100) for i in range(25_000))
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    body = stream(b"BT /F 12 Tf\n" + lines + b"ET", deflated=1)
    return [page(b"4 0 R", b"/Font << /F 5 0 R >>"), body, font]


def crash(path: Path) -> Path:
    """A page label tree that is its own child."""
    catalog = b"<< /Type /Catalog /Pages 2 0 R /PageLabels 6 0 R >>"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    content = stream(b"BT /F 12 Tf 60 700 Td (This page reads well.) Tj ET")
    labels = b"<< /Kids [6 0 R] /Limits [0 9] >>"
    objects = [catalog, ONE_PAGE, page(b"4 0 R", b"/Font << /F 5 0 R >>"), content, font, labels]
    path.write_bytes(document(objects))
    return path


def long_titles(path: Path, letters: int = 2_000_000, entries: int = 1) -> Path:
    """One page with a word; `entries` of the outline share one title of so many letters.

    It is the document's title and the page's label, too.
    """
    first = 8
    items = [
        b"<< /Title 7 0 R /Parent 6 0 R /Dest [3 0 R /Fit]%s >>"
        % (b" /Next %d 0 R" % (number + 1) if number + 1 < first + entries else b"")
        for number in range(first, first + entries)
    ]
    catalog = (
        b"<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R "
        b"/PageLabels << /Nums [0 << /P 7 0 R >>] >> >>"
    )
    outlines = b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (
        first, first + entries - 1, entries,
    )  # fmt: skip
    words = (b"chapter " * (letters // 8 + 1))[:letters]
    content = stream(b"BT /F 12 Tf 60 700 Td (chapter chapter) Tj ET")
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects = [
        catalog, ONE_PAGE, page(b"4 0 R", b"/Font << /F 5 0 R >>"), content, font, outlines,
        b"(%s)" % words, *items, b"<< /Title (%s) >>" % words,
    ]  # fmt: skip
    path.write_bytes(document(objects, b" /Info %d 0 R" % len(objects)))
    return path


def shared_text(path: Path, pages: int = 1_500, characters: int = 300_000) -> Path:
    """So many pages, each of which reads as the same characters; 281 kB for the usual ones."""
    lines = b"".join(
        b"1 0 0 1 9 %d Tm (%s) Tj\n" % (20 + number % 700, b"%09d " % number * 100)
        for number in range(characters // 1000)
    )
    kids = b" ".join(b"%d 0 R" % (5 + number) for number in range(pages))
    body = stream(b"BT /F 12 Tf\n" + lines + b"ET", deflated=1)
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    tree = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, pages)
    objects = [CATALOG, tree, body, font, *[page(b"3 0 R", b"/Font << /F 4 0 R >>")] * pages]
    path.write_bytes(document(objects))
    return path


def lying_count(path: Path, count: int = 1_000_000) -> Path:
    """One page; the tree says `count`."""
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count %d >>" % count
    path.write_bytes(document([CATALOG, pages, page(b"4 0 R"), stream(b"")]))
    return path


def no_pages(path: Path) -> Path:
    """A valid PDF with an empty page tree."""
    path.write_bytes(document([CATALOG, b"<< /Type /Pages /Kids [] /Count 0 >>"]))
    return path
