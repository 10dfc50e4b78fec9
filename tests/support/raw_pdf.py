"""PDF syntax by hand, for what no honest PDF writer would write. Object 1 is the catalog."""

import zlib
from collections.abc import Mapping, Sequence

CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
ONE_PAGE = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"


def document(objects: Sequence[bytes], info: bytes = b"") -> bytes:
    """A whole PDF with a right cross-reference table; the first object is number 1."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    size = len(objects) + 1
    out += b"trailer\n<< /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        info,
        start,
    )
    return bytes(out)


def stream(data: bytes, entries: bytes = b"", deflated: int = 0) -> bytes:
    """A stream object, deflated so many times over."""
    for _ in range(deflated):
        data = zlib.compress(data, 9)
    filters = b"/Filter [%s]" % (b"/FlateDecode " * deflated) if deflated else b""
    head = b"<< /Length %d %s %s >>" % (len(data), entries, filters)
    return head + b"\nstream\n" + data + b"\nendstream"


def page(contents: bytes, resources: bytes = b"") -> bytes:
    """A page object below object 2; `contents` is a reference or an array of them."""
    return (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %s /Resources << %s >> >>"
    ) % (contents, resources)


def glyph_pages(pages: Sequence[Sequence[Sequence[str]]]) -> bytes:
    """Pages of lines of glyphs; each glyph is extracted as exactly its own string.

    One font without outlines, whose ToUnicode map gives each glyph its characters: ligatures,
    half surrogate pairs, control characters and right-to-left text alike.
    """
    strings = sorted({glyph for lines in pages for line in lines for glyph in line})
    codes = {glyph: code for code, glyph in enumerate(strings, 1)}
    kids = b" ".join(b"%d 0 R" % (6 + 2 * i) for i in range(len(pages)))
    objects = [
        CATALOG,
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /BookBrain /Encoding /Identity-H "
        b"/DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /BookBrain /DW 600 /CIDSystemInfo "
        b"<< /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        stream(_to_unicode(codes), deflated=1),
    ]
    for index, lines in enumerate(pages):
        objects.append(page(b"%d 0 R" % (7 + 2 * index), b"/Font << /F 3 0 R >>"))
        objects.append(stream(_draw(lines, codes), deflated=1))
    return document(objects)


def _draw(lines: Sequence[Sequence[str]], codes: Mapping[str, int]) -> bytes:
    out = [b"BT /F 10 Tf 14 TL 60 740 Td"]
    for line in lines:
        out.append(b"<%s> Tj T*" % "".join(f"{codes[glyph]:04x}" for glyph in line).encode())
    return b"\n".join([*out, b"ET"])


def _to_unicode(codes: Mapping[str, int]) -> bytes:
    rows = [
        f"<{code:04x}> <{glyph.encode('utf-16-be', 'surrogatepass').hex()}>"
        for glyph, code in codes.items()
    ]
    blocks = [rows[i : i + 100] for i in range(0, len(rows), 100)]
    chars = "\n".join(
        f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks
    )
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "/CMapName /BookBrain def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{chars}\nendcmap end end\n"
    ).encode()


def two_fonts(mapped: Sequence[str], unmapped: Sequence[str]) -> bytes:
    """A page with lines of a font that says which letters it draws, and of one that does not."""
    codes = {c: n for n, c in enumerate(dict.fromkeys("".join((*mapped, *unmapped))), 1)}
    font = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /BookBrain%d /Encoding /Identity-H "
        b"/DescendantFonts [5 0 R] %s >>"
    )
    text = (
        _draw(mapped, codes)[:-3]
        + b"\n"
        + _draw(unmapped, codes)[3:].replace(b"/F 10 Tf 14 TL 60 740", b"/G 10 Tf 14 TL 0 -100")
    )
    return document(
        [
            CATALOG,
            ONE_PAGE,
            page(b"8 0 R", b"/Font << /F 4 0 R /G 6 0 R >>"),
            font % (1, b"/ToUnicode 7 0 R"),
            b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /BookBrain /DW 600 /CIDSystemInfo "
            b"<< /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
            font % (2, b""),
            stream(_to_unicode(codes), deflated=1),
            stream(text, deflated=1),
        ]
    )


def coded_pages(
    pages: Sequence[Sequence[tuple[Mapping[int, str], bytes]]], *, upwards: bool = False
) -> bytes:
    """Pages of lines, each in a font of its own that has the named glyphs at these codes.

    They are drawn from the top, or `upwards`.

    What a reader makes of a glyph whose name it does not know is its own affair.
    """
    lines = [line for page_lines in pages for line in page_lines]
    first_font, first_page = 3, 3 + len(lines)
    kids = b" ".join(b"%d 0 R" % (first_page + 2 * i) for i in range(len(pages)))
    objects = [CATALOG, b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages))]
    for glyphs, _ in lines:
        names = " ".join(f"{code} /{name}" for code, name in glyphs.items()).encode()
        objects.append(
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding "
            b"<< /Type /Encoding /Differences [%s] >> >>" % names
        )
    number = 0
    for index, page_lines in enumerate(pages):
        fonts, drawn = [], [b"BT -14 TL 60 300 Td" if upwards else b"BT 14 TL 60 740 Td"]
        for _, text in page_lines:
            fonts.append(b"/F%d %d 0 R" % (number, first_font + number))
            drawn.append(b"/F%d 10 Tf <%s> Tj T*" % (number, text.hex().encode()))
            number += 1
        resources = b"/Font << %s >>" % b" ".join(fonts)
        objects.append(page(b"%d 0 R" % (first_page + 2 * index + 1), resources))
        objects.append(stream(b"\n".join([*drawn, b"ET"]), deflated=1))
    return document(objects)
