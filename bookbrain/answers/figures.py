"""Numbers in a claim and in what it quotes: by value, whatever their thousands marks, and unit."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = re.compile(
    r"""(?<![\w.])(?P<sign>[-−](?=[\d.]))?
    (?P<digits>\d{1,3}(?:[,_'’\u00a0\u2009\u202f ]\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)*|\.\d+)""",
    re.VERBOSE,
)
_JOINT = re.compile(r"[:/,×x*^]|\s?[-–—~]\s?")
_MARKS = re.compile(r"[,_'’\u00a0\u2009\u202f ]")
_RUN = re.compile(r"\d+")
_UNIT = re.compile(r"\s?(%|[^\W\d_]+)")
_SCALE = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "백": 100, "천": 1000,
    "만": 10**4, "백만": 10**6, "천만": 10**7, "억": 10**8,
}  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_WORDS = dict(zip(_ONES, range(20), strict=True)) | {
    word: 10 * tens for tens, word in enumerate(_TENS, start=2)
}
_VAGUE = {"zero", "one"}  # "no one", "one of them": in a claim they need not be numbers
_COUNTED = ("하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉", "열")
_COUNTING = ("한", "두", "세", "네")
_KOREAN_TENS = ("열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_KOREAN = (
    {word: n for n, word in enumerate(_COUNTED, 1)}
    | {word: n for n, word in enumerate(_COUNTING, 1)}
    | {word: 10 * n for n, word in enumerate(_KOREAN_TENS, 1)}
    | {
        tens + ones: 10 * n + m
        for n, tens in enumerate(_KOREAN_TENS, 1)
        for row in (_COUNTED[:9], _COUNTING)
        for m, ones in enumerate(row, 1)
    }
    | {"스무": 20}
)
_COUNTER = "개|번|가지|명|배|단계|곳|쪽|줄|초|분|시간|일|달|년|종류|부분|차례|페이지"
# With which a number may be another word where no blank is between: 세대, 사회.
_APART_COUNTER = "대|회|건|바이트|비트|주|권|장|행|칸|층|글자|군데|살|코어|노드"
_KOREAN_NUMBER = re.compile(
    rf"(?<![가-힣])({'|'.join(sorted(_KOREAN, key=len, reverse=True))})"
    rf"(?:\s?(?={_COUNTER})|\s(?={_APART_COUNTER}))"
)
_DIGITS = "일이삼사오육칠팔구"
_END = "(?![가-힣])|(?=[은는이가을를의에도만간씩마동후전로])"
# Not 이 and 일, which are "this" and "work" as well.
_SINO_KOREAN_DIGIT = re.compile(
    rf"(?<![가-힣\d])([{_DIGITS[2:]}])\s(?=(?:초|분|시간|년|개월|회|배|건|바이트|비트|퍼센트)(?:{_END}))"
)
_SINO_KOREAN = re.compile(
    rf"(?<![가-힣\d])([{_DIGITS}]?[십백천만억][{_DIGITS}십백천만억]*)"
    rf"(?:\s?(?={_COUNTER}|%|퍼센트|프로|바이트|비트|메가|킬로|기가|밀리|원|달러)|"
    rf"\s(?={_APART_COUNTER}))"
)
_ENGLISH_NUMBER = re.compile(
    rf"\b({'|'.join(_TENS)})[- ]({'|'.join(_ONES[1:10])})\b|\b({'|'.join(_WORDS)})\b"
    r"(?:[ -](hundred|thousand|million|billion)\b)?|\b(hundred|thousand|million|billion|dozen)s?\b",
    re.IGNORECASE,
)
# What a page may say for a number that a claim counts.
_ALSO: dict[str, float] = {
    "first": 1, "once": 1, "single": 1, "second": 2, "both": 2, "pair": 2, "double": 2,
    "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "첫": 1, "둘째": 2, "셋째": 3, "양쪽": 2,
}  # fmt: skip
# And these a claim may not say unless the page does.
_EXACT: dict[str, float] = {
    "half": 0.5,
    "quarter": 0.25,
    "twice": 2,
    "thrice": 3,
    "triple": 3,
    "절반": 0.5,
}
_ALSO |= _EXACT
_UNITS = {
    unit: kind
    for kind, units in {
        "percent": "% percent 퍼센트 프로",
        "ms": "ms millisecond milliseconds msec 밀리초",
        "us": "us µs μs microsecond microseconds 마이크로초",
        "ns": "ns nanosecond nanoseconds 나노초",
        "second": "s sec secs second seconds 초 초간",
        "minute": "min mins minute minutes 분 분간",
        "hour": "h hr hrs hour hours 시간",
        "day": "day days 일 일간",
        "week": "week weeks 주 주일",
        "month": "month months 개월 달",
        "year": "year years 년",
        "byte": "byte bytes 바이트",
        "bit": "bit bits 비트",
        "kb": "kb kilobyte kilobytes 킬로바이트", "kib": "kib",
        "mb": "mb megabyte megabytes 메가바이트", "mib": "mib",
        "gb": "gb gigabyte gigabytes 기가바이트", "gib": "gib",
        "tb": "tb terabyte terabytes 테라바이트", "tib": "tib",
        "hz": "hz", "khz": "khz", "mhz": "mhz", "ghz": "ghz",
        "px": "px pixel pixels 픽셀", "times": "times 배", "page": "page pages 쪽 페이지",
        "km": "km", "cm": "cm", "mm": "mm", "kg": "kg",
    }.items()
    for unit in units.split()
}  # fmt: skip
_PARTICLES = re.compile(
    r"(?<=[가-힣])(?:이다|입니다|이며|이고|까지|부터|마다|동안|으로|에서|이상|이하|은|는|이|가|을|를|의|에|로|와|과|도|만|씩)+$"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number: its value and its unit, "" for none that is known.

    What is written as an exact text, a version or a power, is one in `text`.
    """

    value: Fraction = Fraction(0)
    unit: str = ""
    text: str = ""


def figures_of(text: str, *, quoted: bool = False) -> list[Figure]:
    """The numbers in a text; of what is `quoted` whatever may stand for one too."""
    text = unicodedata.normalize("NFC", text)
    found = [*_written(text), *_spelled(text, quoted=quoted), *_signs(text)]
    also = _ALSO if quoted else _EXACT
    words = [_PARTICLES.sub("", word) for word in re.findall(r"[^\W\d_]+", text.lower())]
    found += [Figure(Fraction(also[word])) for word in words if word in also]
    if quoted:
        found += [Figure(Fraction(run)) for run in re.findall(r"(?<=[A-Za-z])\d+(?![\d.,])", text)]
    return found


def unsupported(claim: str, quotes: str) -> list[str]:
    """The numbers of a claim that the quoted words do not have, as texts."""
    known = figures_of(quotes, quoted=True)
    taken = {figure.unit for figure in known}
    words = re.findall(r"%|[^\W\d_]+", quotes)
    mentioned = {unit for word in words if (unit := _unit(word)) and unit not in taken}
    lacking = [
        figure.text or f"{figure.value} {figure.unit}".strip()
        for figure in figures_of(claim)
        if not any(_supports(other, figure, mentioned) for other in known)
    ]
    order = [figure.value for figure in _written(quotes)]
    for chain in _chains(claim):
        starts = range(len(order) - len(chain) + 1)
        if not any(order[start : start + len(chain)] == chain for start in starts):
            lacking.append(", ".join(map(str, chain)))
    return lacking


def _chains(text: str) -> Iterator[list[Fraction]]:
    """Numbers that a sign joins: a time, a range, a size. They belong together in their order."""
    chain: list[Fraction] = []
    end = 0
    for match in _NUMBER.finditer(text):
        if not _JOINT.fullmatch(text[end : match.start()]):
            if len(chain) > 1:
                yield chain
            chain = []
        chain += [figure.value for figure in _written(match.group())]
        end = match.end()
    if len(chain) > 1:
        yield chain


def _supports(quoted: Figure, claimed: Figure, mentioned: set[str]) -> bool:
    if claimed.text or quoted.text:
        return claimed.text == quoted.text
    if claimed.value != quoted.value:
        return False
    if claimed.unit == quoted.unit or not claimed.unit:
        return True
    return not quoted.unit and claimed.unit in mentioned and claimed.unit != "percent"


def _written(text: str) -> Iterator[Figure]:
    for match in _NUMBER.finditer(text):
        digits = _MARKS.sub("", match["digits"])
        if digits.count(".") > 1:  # a version, an address
            yield Figure(text=digits)
            continue
        sign = -1 if match["sign"] and not text[: match.start()].rstrip()[-1:].isdecimal() else 1
        value = sign * Fraction("".join(_decimal(c) for c in digits))
        yield _with_unit(value, text[match.end() : match.end() + 24], attached=True)


def _decimal(character: str) -> str:
    return character if character == "." else str(unicodedata.decimal(character))


def _with_unit(value: Fraction, behind: str, *, attached: bool) -> Figure:
    """With what stands behind it: a scale, or a unit. Letters that touch a number are one too."""
    match = _UNIT.match(behind)
    if not match:
        return Figure(value)
    word = _PARTICLES.sub("", match[1]) or match[1]
    for scale in sorted(_SCALE, key=len, reverse=True):
        korean = "가" <= scale[0] <= "힣"
        if word.lower().rstrip("s") == scale or (korean and word.startswith(scale)):
            return _with_unit(value * _SCALE[scale], behind[match.start(1) + len(scale) :],
                              attached=False)  # fmt: skip
    if unit := _unit(word) or (attached and match.start(1) == 0 and _korean_unit(word)):
        return Figure(value, unit)
    touches = attached and match.start(1) == 0 and word.isascii()
    return Figure(value, "" if not touches or word.lower() in _ORDINAL else word)


_ORDINAL = ("st", "nd", "rd", "th", "x")


def _unit(word: str) -> str:
    """The unit that a word is; bits and bytes are told by their capital."""
    bare = _PARTICLES.sub("", word) or word
    if re.fullmatch(r"[KMGTkmgt]i?b", bare):
        return f"{bare[:-1].lower()}bit"
    if re.fullmatch("[A-Z]", bare):  # 5 S is no time
        return ""
    return _UNITS.get(bare.lower(), "")


def _korean_unit(word: str) -> str:
    """That which a word begins with, whatever its ending: 비트 in 비트인."""
    ends = (end for end in range(len(word), 0, -1) if word[0] >= "가" and word[:end] in _UNITS)
    return next((_UNITS[word[:end]] for end in ends), "")


def _spelled(text: str, *, quoted: bool) -> Iterator[Figure]:
    for match in _ENGLISH_NUMBER.finditer(text):
        tens, ones, word, scale, alone = (part and part.lower() for part in match.groups())
        if word in _VAGUE and not scale and not quoted:
            continue
        if alone and text[: match.start()].rstrip(" -")[-1:].isdecimal():  # it has been counted
            continue
        value = _WORDS[tens] + _WORDS[ones] if tens else _WORDS[word] if word else 1
        scale = scale or alone
        value *= 12 if scale == "dozen" else _SCALE.get(scale, 1)
        yield _with_unit(Fraction(value), text[match.end() : match.end() + 24], attached=False)
    for match in _SINO_KOREAN.finditer(text):
        behind = text[match.end() : match.end() + 24]
        yield _with_unit(Fraction(_sino_korean(match[1])), behind, attached=False)
    for match in _SINO_KOREAN_DIGIT.finditer(text):
        behind = text[match.end() : match.end() + 24]
        yield _with_unit(Fraction(_DIGITS.index(match[1]) + 1), behind, attached=False)
    for match in _KOREAN_NUMBER.finditer(text):
        if match[1] in ("한", "하나") and not quoted:
            continue
        behind = text[match.end() : match.end() + 24]
        yield _with_unit(Fraction(_KOREAN[match[1]]), behind, attached=False)


def _signs(text: str) -> Iterator[Figure]:
    """Numbers that are a sign, as ½, ², Ⅳ or 三."""
    for character in text:
        if not character.isascii() and not character.isdecimal() and character.isnumeric():
            yield Figure(text=character)


def _sino_korean(word: str) -> int:
    """삼십이 is 32."""
    total = part = digit = 0
    for character in word:
        if character in _DIGITS:
            digit = _DIGITS.index(character) + 1
        elif (scale := _SCALE.get(character, 10)) < 10**4:
            part, digit = part + (digit or 1) * scale, 0
        else:
            total, part, digit = total + (part + digit or 1) * scale, 0, 0
    return total + part + digit
