"""The child process that paints pages, each in a fork: `formats.page_image_child`.

A request is a `page_image.Picture`, whose answer is a PNG, or a `page_image.Sheet`, whose answer is
JSON: the `size` of the page in points and, for each of its `spans`, the boxes where that text
stands, in shares of the page's sides. A hostile PDF may crash, hang or fill the fork;
`page_image.py` survives it.

It imports only pypdfium2 and Pillow, and so starts fast. A mark is drawn only where the letters of
the text are those of the PDF's characters in their order, or of the words that were read from its
picture, or of the one before the other.
"""

import ctypes
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, NamedTuple
from unicodedata import category, normalize

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageChops, ImageStat

from bookbrain.formats.fork_server import serve
from bookbrain.formats.glyphs import in_whole_words, read_glyphs, seen_on
from bookbrain.formats.letter_ink import find_part
from bookbrain.formats.page_image import Letters
from bookbrain.formats.page_layout import characters_of, lay_out
from bookbrain.formats.pdf_child import MAX_PAGE_CHARACTERS, visible_text
from bookbrain.processes import limit_this_process

_HYPHENS = "-\u2010"  # some end a line, and are none of the text's
_REPLACEMENT = "\ufffd"  # stands for what could not be decoded


def locate(
    text: str, marks: Iterable[tuple[int, int]], drawn: Sequence[str]
) -> list[tuple[int, ...]]:
    """For each mark (start, end in `text`) the indexes of its characters in `drawn`, in order.

    `text` is what `joining` made of these characters: white space, hyphens, ligatures and accents
    may differ. Where anything else does, no mark has an index: it would stand in a wrong place.
    """
    wanted, there = _letters(text), _letters(drawn)
    if [letter for letter, _ in wanted] != [letter for letter, _ in there]:
        return [() for _ in marks]
    indexes = {
        place: [there[n][1] for n, _ in group]
        for place, group in groupby(enumerate(wanted), lambda item: item[1][1])
    }
    return [
        tuple(dict.fromkeys(i for place in range(*mark) for i in indexes.get(place, ())))
        for mark in marks
    ]


def _letters(characters: Iterable[str]) -> list[tuple[str, int]]:
    """What is left of them in every way to write a text, and of which character each was."""
    return [
        (letter, place)
        for place, character in enumerate(characters)
        for letter in _lasting(character)
    ]


@lru_cache(10_000)
def _lasting(character: str) -> str:
    """Its letters, digits and signs: no accents, white space, hyphens, nor what is none (NFKD)."""
    if character >= _REPLACEMENT:  # pdfium draws halves of what is beyond the first plane
        return ""
    parts = normalize("NFKD", character)
    return "".join(part for part in parts if category(part)[0] in "LNPS" and part not in _HYPHENS)


Box = tuple[float, float, float, float]  # left, top, right, bottom; shares of the picture's sides
_MOST_PIXELS = 24_000_000
_DIGITS = 5  # of shares of the page's sides
_ROUNDING = 0.01  # pdfium makes whole pixels of parts
_GRID = 1_000_000  # pdfium gives places on the picture as whole numbers
_PAD = 0.15  # of a line's height, above and below
_ON_PAPER, _ON_DARK = "#ffe066", "#6b5200"  # what a mark multiplies, and what it screens
_DARK = 110  # a background below this, of 255
_IN_COLOUR = [value > 8 for value in range(256)]  # between red, green and blue
_PLAIN = 0.5  # of a page that is of exactly one shade
_MOST_COLOURS, _APART = 1500, 4  # so many in pixels that are so far apart, in both directions


class _Letter(NamedTuple):
    """What a letter covers, and what its font sets aside for any letter in its place."""

    ink: Box
    font: Box


def _answer(request: dict[str, Any]) -> None:
    limit_this_process(request["memory_mb"])
    page = pdfium.PdfDocument(request["path"])[request["number"] - 1]
    if "spans" in request:
        print(json.dumps(_places(page, request)))  # noqa: T201
        return
    picture = _picture(page, request["width"])
    boxes: list[Box] = []
    if marks := request["marks"]:
        with suppress(pdfium.PdfiumError):  # the page can be seen without them
            boxes = find_boxes(page, request["text"], marks, request["words"], picture)
    for box in boxes:
        _highlight(picture, box)
    _reduced(picture).save(sys.stdout.buffer, "PNG", compress_level=3)
    print()  # noqa: T201  (an answer is of lines)


def _places(page: pdfium.PdfPage, request: dict[str, Any]) -> dict[str, Any]:
    boxes: list[list[Box]] = [[] for _ in request["spans"]]
    with suppress(pdfium.PdfiumError):  # the page can be seen without them
        boxes = boxes_of(page, request["text"], request["spans"], request["words"])
    return {"size": page.get_size(), "boxes": [[_rounded(box) for box in one] for one in boxes]}


def _rounded(box: Box) -> list[float]:
    return [round(side, _DIGITS) for side in box]


def find_boxes(
    page: pdfium.PdfPage, text: str, marks: Sequence[tuple[int, int]],
    words: Sequence[Letters] = (), picture: Image.Image | None = None,
) -> list[Box]:  # fmt: skip
    """Where on the page's picture the marks of its text stand: a box for each line of each."""
    return [box for one in boxes_of(page, text, marks, words, picture) for box in one]


def boxes_of(
    page: pdfium.PdfPage, text: str, marks: Sequence[tuple[int, int]],
    words: Sequence[Letters] = (), picture: Image.Image | None = None,
) -> list[list[Box]]:  # fmt: skip
    """For each mark of the page's text where it stands on its picture: a box for each line of it.

    The text is that of the PDF's characters; or it ends in the `words` that were read from the
    picture, or has nothing else. These have a box each; parts of them are found on the `picture`.
    """
    textpage = page.get_textpage()
    best: list[list[Box]] = [[] for _ in marks]
    for visible in _orders(page, textpage):
        there, boxes = _Characters(page, textpage, visible), best
        if words:
            boxes = _find_boxes(there, text, marks, words, picture)
        if not words or not any(boxes):
            boxes = _find_boxes(there, text, marks, (), None)
        best = max(best, boxes, key=lambda found: sum(map(bool, found)))
        if all(best):
            break
    return [
        [box for box in one if box[2] > 0 and box[3] > 0 and box[0] < 1 and box[1] < 1]
        for one in best
    ]


class _Characters(NamedTuple):
    """The characters of a page, by their numbers, in the order of its text."""

    page: pdfium.PdfPage
    textpage: pdfium.PdfTextPage
    visible: Sequence[int]


def _find_boxes(
    there: _Characters, text: str, marks: Iterable[tuple[int, int]], words: Sequence[Letters],
    picture: Image.Image | None,
) -> list[list[Box]]:  # fmt: skip
    page, textpage, visible = there
    read = [(number, place) for number, word in enumerate(words) for place in range(len(word))]
    characters = [character for word in words for character, _ in word]
    own: Sequence[str] = [chr(pdfium_c.FPDFText_GetUnicode(textpage, index)) for index in visible]
    if words:
        own = _beginning(own, len(_letters(text)) - len(_letters(characters)))
    found: list[list[Box]] = []
    for mark in locate(text, marks, [*own, *characters]):
        letters = [_letter(page, textpage, visible[index]) for index in mark if index < len(own)]
        boxes = [*map(_padded, _lines([one for one in letters if _has_area(one.ink)]))]
        of_words = [read[index - len(own)] for index in mark if index >= len(own)]
        for number, group in groupby(of_words, lambda at: at[0]):
            boxes.append(_in_word(page, words[number], [place for _, place in group], picture))
        found.append(boxes)
    return found


def _in_word(
    page: pdfium.PdfPage, word: Letters, places: Sequence[int], picture: Image.Image | None
) -> Box:
    """The box of the letters at these places of a word, which may run in any direction."""
    boxes = [_on_picture(page, box) for _, box in word]
    start, end = places[0], places[-1] + 1
    if picture is None or end - start == len(word):
        return _around(boxes[start:end])
    width, height = picture.size
    left, top, right, bottom = _around(boxes)
    area = (
        max(round(left * width), 0),
        max(round(top * height), 0),
        min(round(right * width), width),
        min(round(bottom * height), height),
    )
    across, down = area[2] - area[0], area[3] - area[1]
    if across < 1 or down < 1:
        return _around(boxes[start:end])
    quarters = _quarters(boxes, picture)
    lying = picture.crop(area).convert("L").rotate(90 * quarters, expand=True)
    part = find_part(lying, "".join(character for character, _ in word), start, end)
    for _ in range(quarters):
        part = (1 - part[3], part[0], 1 - part[1], part[2])
    return (
        (area[0] + part[0] * across) / width,
        (area[1] + part[1] * down) / height,
        (area[0] + part[2] * across) / width,
        (area[1] + part[3] * down) / height,
    )


def _quarters(boxes: Sequence[Box], picture: Image.Image) -> int:
    """By how many quarters, against the clock, letters have to be turned that they run right."""
    (left, top, right, bottom), other = boxes[0], boxes[-1]
    across = (other[0] + other[2] - left - right) * picture.width
    down = (other[1] + other[3] - top - bottom) * picture.height
    if abs(across) >= abs(down):
        return 0 if across >= 0 else 2
    return 1 if down > 0 else 3


def _beginning(characters: Sequence[str], letters: int) -> Sequence[str]:
    """The first of the characters, with so many letters."""
    for place, character in enumerate(characters):
        if letters <= 0:
            return characters[:place]
        letters -= len(_lasting(character))
    return characters


def _orders(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> Iterator[list[int]]:
    """The characters that `pdf_child` takes as the page's text: in reading order where it sets them
    in that, then in pdfium's, as it did before it knew any other. Those inside the page alone."""
    if laid := lay_out(page, textpage, visible_text(page, textpage)):
        yield characters_of(laid[1])
    count = textpage.count_chars()
    if count > MAX_PAGE_CHARACTERS or page.get_rotation() in (90, 270):
        yield list(range(min(count, MAX_PAGE_CHARACTERS)))
        return
    text = read_glyphs(page, textpage).text[:-1]
    seen = seen_on(page, textpage, text)
    yield sorted(whole := in_whole_words(text, seen))
    if whole != seen:
        yield sorted(seen)  # as it was read before words over the edge were whole


def _on_picture(page: pdfium.PdfPage, corners: Sequence[float]) -> Box:
    """A box of the page's own coordinates, after its rotation and crop."""
    left, bottom, right, top = corners
    across, down = ctypes.c_int(), ctypes.c_int()
    places = []
    for x, y in ((left, bottom), (right, top)):
        pdfium_c.FPDF_PageToDevice(page, 0, 0, _GRID, _GRID, 0, x, y, across, down)
        places.append((across.value / _GRID, down.value / _GRID))
    (x, y), (z, w) = places
    x, y, z, w = (min(max(side, 0.0), 1.0) for side in (x, y, z, w))  # of a word over the edge
    return min(x, z), min(y, w), max(x, z), max(y, w)


def _letter(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage, index: int) -> _Letter:
    ink, font = (textpage.get_charbox(index, loose=loose) for loose in (False, True))
    return _Letter(_on_picture(page, ink), _on_picture(page, font))


def _has_area(box: Box) -> bool:
    return box[2] > box[0] and box[3] > box[1]


def _lines(letters: Sequence[_Letter]) -> list[Box]:
    """One box for the letters that stand beside each other."""
    if not letters:
        return []
    lines = [[letters[0].ink]]
    for before, letter in pairwise(letters):
        if _beside(before.font, letter.font):
            lines[-1].append(letter.ink)
        else:
            lines.append([letter.ink])
    return [_around(line) for line in lines]


def _beside(one: Box, other: Box) -> bool:
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared > min(one[3] - one[1], other[3] - other[1]) / 2


def _around(boxes: Sequence[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _padded(box: Box) -> Box:
    left, top, right, bottom = box
    pad = _PAD * (bottom - top)
    return left, top - pad, right, bottom + pad


def _picture(page: pdfium.PdfPage, width: int) -> Image.Image:
    """The page, `width` pixels wide, or less where it is too tall for that."""
    across, down = page.get_size()
    most = (_MOST_PIXELS * across / down) ** 0.5
    picture: Image.Image = page.render(scale=(min(width, most) - _ROUNDING) / across).to_pil()
    return picture.convert("RGB")


def _reduced(picture: Image.Image) -> Image.Image:
    """The same in less: in grey where it has no colour, and with a palette where its paper is of
    one colour and it has few others. A scan or a photograph has more."""
    red, green, blue = picture.split()
    if max(counts := green.histogram()) >= _PLAIN * sum(counts):
        size = picture.width // _APART or 1, picture.height // _APART or 1
        if picture.resize(size, Image.Resampling.NEAREST).getcolors(_MOST_COLOURS):
            method, dither = Image.Quantize.FASTOCTREE, Image.Dither.NONE
            return picture.quantize(256, method=method, dither=dither)
    apart = (ImageChops.difference(red, green), ImageChops.difference(green, blue))
    return picture if any(one.point(_IN_COLOUR).getbbox() for one in apart) else green


def _highlight(picture: Image.Image, box: Box) -> None:
    """Colour what is behind the letters of a box and keep them readable, on paper and on dark."""
    across, down = picture.size
    area = (
        max(int(box[0] * across), 0),
        max(int(box[1] * down), 0),
        min(int(box[2] * across) + 1, across),
        min(int(box[3] * down) + 1, down),
    )
    under = picture.crop(area)
    dark = ImageStat.Stat(under.convert("L")).median[0] < _DARK
    colour = Image.new("RGB", under.size, _ON_DARK if dark else _ON_PAPER)
    mix = ImageChops.screen if dark else ImageChops.multiply
    picture.paste(mix(under, colour), area)


if __name__ == "__main__":
    serve(_answer)
