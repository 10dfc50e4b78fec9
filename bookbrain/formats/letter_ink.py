"""Where some letters of a word stand on its picture, by its ink. In a child only.

Who reads a page from its picture says where words stand, not their letters, and these have any
width: as their font has them, or all the same. Between letters there is little ink.
"""

from collections.abc import Mapping, Sequence
from unicodedata import east_asian_width

from PIL import Image, ImageChops, ImageStat

Part = tuple[float, float, float, float]  # left, top, right, bottom; shares of the word's sides
_LEVELS = 40  # of 255, by which ink is darker than paper
_PAPER = 0.75  # of the picture of a word, the darker part: it has paper's level there
_DARK = 110  # a background below this is dark
_ROW, _COLUMN = 0.02, 0.08  # of a row or column: less ink is dust
_FINEST = 10  # columns for a letter of width 1
_REACH = 2.5  # such letters, that an edge may be from where widths alone have it
_NARROWEST, _WIDEST = 0.3, 2.2  # times its usual width, that a letter may be
_WIDE = 2.0
_USUAL = (
    dict.fromkeys("iljI.,:;'!|`", 0.5)
    | dict.fromkeys('tfr()[]/-{}"\\', 0.7)
    | dict.fromkeys("ABCDEFGHKLNOPQRSTUVXYZ&", 1.3)
    | dict.fromkeys("mwMW@%", 1.6)
)
_Ways = Mapping[int, tuple[float, list[int]]]


def find_part(word: Image.Image, text: str, start: int, end: int) -> Part:
    """Where characters `start` to `end` of a word stand, whose `text` runs from the left to the
    right side of its grey picture."""
    if ImageStat.Stat(word).median[0] < _DARK:
        word = ImageChops.invert(word)
    paper = _level(word)
    ink = word.point([255 * (level < paper - _LEVELS) for level in range(256)])
    left, right = _sides(ink, text, start, end)
    part = ink.crop((left, 0, right, word.height))
    rows = _inked(part.resize((1, word.height), Image.Resampling.BOX), _ROW)
    columns = _inked(part.resize((right - left, 1), Image.Resampling.BOX), _COLUMN)
    return (
        (left + columns.start) / word.width,
        rows.start / word.height,
        (left + columns.stop) / word.width,
        rows.stop / word.height,
    )


def _level(word: Image.Image) -> int:
    """The grey level of the paper."""
    darker, total = 0, word.width * word.height
    for level, count in enumerate(word.histogram()):
        darker += count
        if darker >= _PAPER * total:
            return level
    return 255


def _inked(line: Image.Image, least: float) -> range:
    """From the first to the last pixel with ink; all of them where none has."""
    levels = line.tobytes()
    found = [place for place, level in enumerate(levels) if level > 255 * least]
    return range(found[0], found[-1] + 1) if found else range(len(levels))


def _sides(ink: Image.Image, text: str, start: int, end: int) -> tuple[int, int]:
    """The first column of a part of a word, and that after its last one."""
    columns = min(ink.width, round(_FINEST * sum(map(_same, text))))
    levels = ink.resize((columns, 1), Image.Resampling.BOX).tobytes()
    most = max(levels) or 1
    dark = [level / most for level in levels]
    if all(_same(character) == _WIDE for character in text):  # they have gaps inside, and one width
        edges = [round(columns * n / len(text)) for n in range(len(text) + 1)]
    else:
        ways = (_divided(dark, [width(c) for c in text]) for width in (_same, _usual))
        _, edges = min(ways)
    left, right = (round(edges[place] * ink.width / columns) for place in (start, end))
    left = min(left, ink.width - 1)
    return left, max(right, left + 1)


def _same(character: str) -> float:
    """The width of a character where all letters are alike."""
    return _WIDE if east_asian_width(character) in "WF" else 1.0


def _usual(character: str) -> float:
    """Its width in most fonts."""
    return _USUAL.get(character) or _same(character)


def _divided(dark: Sequence[float], widths: Sequence[float]) -> tuple[float, list[int]]:
    """The edges of letters of about such widths with the least ink on them, and how bad they are.

    `dark` has the ink of each column, 1 at most. Where there is no such way, it is by width alone.
    """
    scale, end = len(dark) / sum(widths), len(dark)
    ways: _Ways = {0: (0.0, [0])}
    middles, at = [], 0.0
    for width in widths:
        at += width * scale
        middles.append(round(at))
    for middle, width in zip(middles[:-1], widths, strict=False):
        reach = round(_REACH * scale)
        places = range(max(middle - reach, 1), min(middle + reach + 1, end))
        ways = _extended(ways, places, width * scale, dark)
    ways = _extended(ways, range(end, end + 1), widths[-1] * scale, [*dark, 0.0])
    return ways.get(end, (float("inf"), [0, *middles]))


def _extended(ways: _Ways, places: range, width: float, dark: Sequence[float]) -> _Ways:
    """The best way to each of the places, where one more letter ends."""
    extended = {}
    for place in places:
        before = range(
            max(round(place - _WIDEST * width), 0), round(place - _NARROWEST * width) + 1
        )
        options = [
            (ways[edge][0] + ((place - edge - width) / width) ** 2, ways[edge][1])
            for edge in before
            if edge in ways
        ]
        if options:
            badness, edges = min(options)
            extended[place] = (badness + dark[place], [*edges, place])
    return extended
