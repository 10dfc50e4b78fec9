"""Scans as no scanner should make them: in every coding that PDFs have, too large, nowhere, broken.

Each is a PDF of one page, whose picture says the same line of words where it can be read at all.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from struct import pack
from typing import NamedTuple
from zlib import compress

import numpy as np
from PIL import Image, TiffImagePlugin
from support.pdfs import mutate
from support.raw_pdf import CATALOG, ONE_PAGE, document, stream
from support.scans import easy_page

WORD = "semaphore"  # is on each of them
_A4 = (595.0, 842.0)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file of one page; `whole` where its picture is all there and of a size to be read."""

    name: str
    content: bytes
    whole: bool


class _Made(NamedTuple):
    """A PDF; `whole` as in Mutant."""

    content: bytes
    whole: bool = False


def mutants(number: int, seed: int = 0) -> Iterator[Mutant]:
    """So many files, of each kind in turn, the same for the same seed."""
    kinds = list(KINDS.items())
    for index in range(number):
        kind, make = kinds[index % len(kinds)]
        chance = random.Random(f"{seed}/{index}")
        picture = easy_page(WORD).rotate(chance.uniform(-0.8, 0.8), fillcolor=240)
        made = make(picture, chance)
        yield Mutant(f"{index:03}-{kind.replace(' ', '-')}.pdf", *made)


# The page


def _page(
    image: bytes, box: str = "595 0 0 360 0 240", *, media: str = "0 0 595 842", extra: str = "",
    others: Mapping[str, bytes] | None = None, contents: bytes = b"",
) -> bytes:  # fmt: skip
    """A PDF of a page on which the image object is drawn by the matrix `box`."""
    named = dict(others or {})
    numbers = {name: 6 + place for place, name in enumerate(named)}
    for name, number in numbers.items():
        image = image.replace(b"@" + name.encode(), b"%d 0 R" % number)
    page = (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{media}] {extra} /Contents 4 0 R "
        "/Resources << /XObject << /I 5 0 R >> >> >>"
    )
    drawn = contents or f"q {box} cm /I Do Q".encode()
    return document([CATALOG, ONE_PAGE, page.encode(), stream(drawn), image, *named.values()])


def _image(
    data: bytes, size: tuple[int, int], entries: str, space: str = "/DeviceGray", bits: int = 8
) -> bytes:
    head = f"/Type /XObject /Subtype /Image /Width {size[0]} /Height {size[1]}"
    return stream(data, f"{head} /ColorSpace {space} /BitsPerComponent {bits} {entries}".encode())


def _flate(data: bytes, size: tuple[int, int], entries: str = "", **how: object) -> bytes:
    return _image(compress(data, 1), size, f"/Filter /FlateDecode {entries}", **how)  # type: ignore[arg-type]


# How a picture is written


def _saved(picture: Image.Image, form: str, **options: object) -> bytes:
    made = BytesIO()
    picture.save(made, form, **options)
    return made.getvalue()


def _jpeg(picture: Image.Image, chance: random.Random) -> _Made:
    data = _saved(
        picture, "JPEG", quality=chance.randint(40, 90), progressive=chance.random() < 0.5
    )
    return _Made(_page(_image(data, picture.size, "/Filter /DCTDecode")), whole=True)


def _flipped(picture: Image.Image, chance: random.Random) -> _Made:
    """Bytes flipped, cut, doubled and spliced, numbers changed, anywhere in the file."""
    make = chance.choice([_jpeg, _jpeg_2000, _ccitt, _jbig2, _cmyk, _alpha])
    return _Made(mutate(make(picture, chance).content, chance))


def _cut(picture: Image.Image, chance: random.Random) -> _Made:
    make = chance.choice([_jpeg, _jpeg_2000, _ccitt, _jbig2])
    content = make(picture, chance).content
    return _Made(content[: int(len(content) * chance.uniform(0.1, 0.98))])


def _torn(picture: Image.Image, chance: random.Random) -> _Made:
    """The PDF is whole, the data of its picture are not."""
    form, name = chance.choice([("JPEG", "/DCTDecode"), ("JPEG2000", "/JPXDecode")])
    data = bytearray(_saved(picture, form))
    for _ in range(chance.randint(1, 60)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    end = int(len(data) * chance.uniform(0.05, 1))
    return _Made(_page(_image(bytes(data[:end]), picture.size, f"/Filter {name}")))


def _jpeg_2000(picture: Image.Image, chance: random.Random) -> _Made:
    data = _saved(picture, "JPEG2000", quality_layers=[chance.choice([5, 20])],
                  irreversible=chance.random() < 0.5)  # fmt: skip
    return _Made(_page(_image(data, picture.size, "/Filter /JPXDecode")), whole=True)


def _fax(picture: Image.Image) -> bytes:
    """CCITT's group 4, white as 1, in one strip."""
    black = picture.convert("L").point(lambda level: 255 * (level > 128)).convert("1")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[TiffImagePlugin.ROWSPERSTRIP] = picture.height
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 0
    data = _saved(black, "TIFF", compression="group4", tiffinfo=tags)
    with Image.open(BytesIO(data)) as tiff:
        (start,), (size,) = (tiff.tag_v2[tag] for tag in (273, 279))  # type: ignore[attr-defined]
    return data[start : start + size]


def _ccitt(picture: Image.Image, chance: random.Random) -> _Made:
    """Some say other sides than the data have."""
    honest = chance.random() < 0.5
    columns = picture.width if honest else chance.choice([1, picture.width + 7, 60_000])
    parameters = f"/DecodeParms << /K -1 /Columns {columns} /Rows {picture.height} >>"
    image = _image(_fax(picture), picture.size, f"/Filter /CCITTFaxDecode {parameters}", bits=1)
    return _Made(_page(image), whole=honest)


def _jbig2_of(fax: bytes, size: tuple[int, int]) -> bytes:
    """A page and one region, whose rows are coded as group 4 (ITU-T T.88, 7.4.6 and 7.4.8)."""
    width, height = size
    page = pack(">IIIIBH", width, height, 0, 0, 0, 0)
    region = pack(">IIIIBB", width, height, 0, 0, 0, 1) + fax
    return b"".join(
        pack(">IBBBI", number, kind, 0, 1, len(data)) + data
        for number, (kind, data) in enumerate([(48, page), (38, region)])
    )


def _jbig2(picture: Image.Image, chance: random.Random) -> _Made:
    """Some say other sides than the picture has, up to the most that there can be."""
    honest = chance.random() < 0.5
    claimed = picture.size if honest else chance.choice([(1, 1), (65_000, 65_000), (2**31, 9)])
    data = _jbig2_of(_fax(picture), claimed)
    image = _image(data, picture.size, "/Filter /JBIG2Decode", bits=1)
    return _Made(_page(image), whole=honest)


def _16_bit(picture: Image.Image, chance: random.Random) -> _Made:
    levels = np.asarray(picture, np.uint16) * 257
    data = levels.astype(">u2").tobytes()
    return _Made(_page(_flate(data, picture.size, bits=16)), whole=True)


def _few_bits(picture: Image.Image, chance: random.Random) -> _Made:
    """2 or 4 bits a pixel, or none that there are."""
    bits = chance.choice([2, 4, 3, 0, 99])
    levels = np.asarray(picture) >> (8 - min(bits, 4))
    spread = np.unpackbits(levels[:, :, None], axis=2)[:, :, 8 - min(bits, 4) :]
    data = np.packbits(spread.reshape(picture.height, -1), axis=1).tobytes()
    return _Made(_page(_flate(data, picture.size, bits=bits)), whole=bits in (2, 4))


def _cmyk(picture: Image.Image, chance: random.Random) -> _Made:
    """As printers have it; half of them upside down, as Adobe writes it."""
    inverted = chance.random() < 0.5
    data = _saved(picture.convert("RGB").convert("CMYK"), "JPEG", quality=80)
    decode = "/Decode [1 0 1 0 1 0 1 0]" if inverted else ""
    image = _image(data, picture.size, f"/Filter /DCTDecode {decode}", "/DeviceCMYK")
    return _Made(_page(image))


def _alpha(picture: Image.Image, chance: random.Random) -> _Made:
    """Black ink under a mask: the letters are in the mask alone, or it hides all there is."""
    in_mask = chance.random() < 0.5
    mask = np.asarray(picture)
    mask = 255 - mask if in_mask else np.full_like(mask, chance.choice([0, 128, 255]))
    data = bytes(picture.width * picture.height) if in_mask else np.asarray(picture).tobytes()
    image = _flate(data, picture.size, "/SMask @mask")
    others = {"mask": _flate(mask.tobytes(), picture.size)}
    return _Made(_page(image, others=others), whole=in_mask)


def _colours(picture: Image.Image, chance: random.Random) -> _Made:
    """Colour spaces: of a table, measured, of a profile that is none, unknown."""
    space = chance.choice([
        "[/Indexed /DeviceGray 1 <00FF>]",
        "[/CalRGB << /WhitePoint [0 0 0] >>]",
        "[/Lab << /WhitePoint [1 1 1] /Range [9 -9 0 0] >>]",
        "[/ICCBased @profile]",
        "/Nothing",
        "[/Separation /Black /DeviceGray 7 0 R]",
        "[/Indexed [/Indexed [/Indexed /DeviceGray 1 <00>] 1 <00>] 1 <00>]",
    ])  # fmt: skip
    image = _flate(np.asarray(picture).tobytes(), picture.size, space=space)
    others = {"profile": stream(chance.randbytes(200), b"/N 1")}
    return _Made(_page(image, others=others))


# How large it is, and where


def _a3_at_600(picture: Image.Image, chance: random.Random) -> _Made:
    """One bit a pixel, 70 million of them."""
    size = (7016, 9921)
    large = picture.resize((size[0], size[0] * picture.height // picture.width))
    sheet = Image.new("L", size, 240)
    sheet.paste(large, (0, chance.randrange(size[1] - large.height)))
    box, media = "842 0 0 1191 0 0", "0 0 842 1191"
    if chance.random() < 0.5:
        image = _image(_jbig2_of(_fax(sheet), size), size, "/Filter /JBIG2Decode", bits=1)
    else:
        entries = f"/Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns {size[0]} >>"
        image = _image(_fax(sheet), size, entries, bits=1)
    return _Made(_page(image, box, media=media), whole=True)


_ENDLESS = 20_000


def _endless(picture: Image.Image, chance: random.Random) -> _Made:
    """400 million pixels, of one bit to four colours, in a few kB where that can be."""
    size = (_ENDLESS, _ENDLESS)
    match chance.choice(["flate", "colour", "jbig2", "ccitt", "lying jpx"]):
        case "flate":
            image = _flate(bytes(_ENDLESS // 8 * _ENDLESS), size, bits=1)
        case "colour":  # of which there are only the first rows
            image = _flate(bytes(4 * _ENDLESS * 100), size, space="/DeviceCMYK")
        case "jbig2":
            image = _image(_jbig2_of(_white(_ENDLESS), size), size, "/Filter /JBIG2Decode", bits=1)
        case "ccitt":
            entries = f"/Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns {_ENDLESS} >>"
            image = _image(_white(_ENDLESS), size, entries, bits=1)
        case _:
            data = bytearray(_saved(picture, "JPEG2000"))
            at = data.index(b"\xff\x51") + 6  # SIZ: the sides of the picture, then of a tile
            data[at : at + 8] = pack(">II", *size)
            image = _image(bytes(data), size, "/Filter /JPXDecode")
    return _Made(_page(image))


def _white(rows: int) -> bytes:
    """Group 4 of so many white rows: of each the code V0, which is one bit."""
    return b"\xff" * (rows // 8) + bytes.fromhex("001001")


def _zero(picture: Image.Image, chance: random.Random) -> _Made:
    """Of no width: the picture, the place that it is drawn on, or the page."""
    data = np.asarray(picture).tobytes()
    good = _flate(data, picture.size)
    match chance.choice(["picture", "negative", "place", "line", "page", "no data"]):
        case "picture":
            return _Made(_page(_flate(data, (0, chance.choice([0, picture.height])))))
        case "negative":
            return _Made(_page(_flate(data, (-picture.width, picture.height))))
        case "place":
            return _Made(_page(good, "0 0 0 0 100 100"))
        case "line":
            return _Made(_page(good, "595 0 0 0.0001 0 400"))
        case "page":
            sides = chance.choice(["0 0", "0 842", "0.001 842", "-9 -9"])
            return _Made(_page(good, media=f"0 0 {sides}"))
    return _Made(_page(_flate(b"", picture.size)))


def _outside(picture: Image.Image, chance: random.Random) -> _Made:
    """Beside the page, cropped away, or so far off that numbers end."""
    image = _flate(np.asarray(picture).tobytes(), picture.size)
    match chance.choice(["beside", "half", "crop", "far", "turned"]):
        case "beside":
            return _Made(_page(image, "595 0 0 360 700 0"))
        case "half":
            return _Made(_page(image, "595 0 0 360 -300 240"))
        case "crop":
            return _Made(_page(image, extra="/CropBox [0 700 595 842]"))
        case "far":
            return _Made(_page(image, "595 0 0 360 9e30 -9e30"))
    return _Made(_page(image, "1e-9 595 -360 1e-9 478 120"))


def _odd_page(picture: Image.Image, chance: random.Random) -> _Made:
    """Of every size, turned by what is no quarter, in units of its own, its corners exchanged."""
    image = _flate(np.asarray(picture).tobytes(), picture.size)
    media, box, extra = chance.choice([
        ("0 0 3 4", "3 0 0 2 0 1", ""),
        ("0 0 14400 14400", "14400 0 0 8700 0 0", ""),
        ("0 0 1e9 1e9", "1e9 0 0 1e9 0 0", ""),
        ("595 842 0 0", "595 0 0 360 0 240", ""),
        ("-300 -400 295 442", "595 0 0 360 -300 -100", ""),
        ("0 0 595 842", "595 0 0 360 0 240", "/Rotate 90"),
        ("0 0 595 842", "595 0 0 360 0 240", "/Rotate 45"),
        ("0 0 595 842", "595 0 0 360 0 240", "/UserUnit 1000000"),
        ("0 0 595 20000", "595 0 0 360 0 240", ""),
        ("0 0 nan inf", "595 0 0 360 0 240", ""),
    ])  # fmt: skip
    return _Made(_page(image, box, media=media, extra=extra))


def _drawn_often(picture: Image.Image, chance: random.Random) -> _Made:
    """The picture in strips, or many times over itself, or steep."""
    image = _flate(np.asarray(picture).tobytes(), picture.size)
    match chance.choice(["strips", "often", "steep"]):
        case "strips":
            count = chance.choice([5, 400])
            high = 360 / count
            parts = (
                f"q 0 {240 + n * high:.4f} 595 {high:.4f} re W n 595 0 0 360 0 240 cm /I Do Q"
                for n in range(count)
            )
            return _Made(_page(image, contents=" ".join(parts).encode()), whole=count == 5)
        case "often":
            return _Made(_page(image, contents=b"q 595 0 0 360 0 240 cm /I Do Q " * 90), whole=True)
    turn = math.radians(chance.uniform(5, 85))
    c, s = math.cos(turn), math.sin(turn)
    box = f"{300 * c:.3f} {300 * s:.3f} {-180 * s:.3f} {180 * c:.3f} 250 250"
    return _Made(_page(image, box))


def _inverted(picture: Image.Image, chance: random.Random) -> _Made:
    """White letters on black, or a stencil that paints."""
    if chance.random() < 0.5:
        image = _flate(np.asarray(picture).tobytes(), picture.size, "/Decode [1 0]")
        return _Made(_page(image))
    data = _fax(picture)
    entries = (
        f"/ImageMask true /Filter /CCITTFaxDecode "
        f"/DecodeParms << /K -1 /Columns {picture.width} /Rows {picture.height} >>"
    )
    head = f"/Type /XObject /Subtype /Image /Width {picture.width} /Height {picture.height}"
    image = stream(data, f"{head} /BitsPerComponent 1 {entries}".encode())
    return _Made(_page(image), whole=True)


KINDS: dict[str, Callable[[Image.Image, random.Random], _Made]] = {
    "jpeg": _jpeg,
    "flipped": _flipped,
    "cut": _cut,
    "torn": _torn,
    "jpeg 2000": _jpeg_2000,
    "ccitt": _ccitt,
    "jbig2": _jbig2,
    "16 bit": _16_bit,
    "few bits": _few_bits,
    "cmyk": _cmyk,
    "alpha": _alpha,
    "colours": _colours,
    "a3 at 600": _a3_at_600,
    "endless": _endless,
    "zero": _zero,
    "outside": _outside,
    "odd page": _odd_page,
    "drawn often": _drawn_often,
    "inverted": _inverted,
}
