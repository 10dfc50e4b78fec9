"""The gate: what of a model's claims stands in the books. Nothing else is shown as their word.

A claim needs a quotation that is on a page. Its numbers, its code and what it has in quotation
marks must be in its quotations. What a claim means nobody here can tell: only that it is in the
language of the question, and shares words with what it quotes where both are of one script.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bookbrain.answers.figures import unsupported
from bookbrain.answers.names import in_marks, names_of, unsupported_names
from bookbrain.answers.negation import contradicts
from bookbrain.answers.quotation import find_quotation, plain
from bookbrain.index.analyzer import FUNCTION_WORDS, WHOLE, literal_terms
from bookbrain.messages import fill
from bookbrain.model import place_of, printable
from bookbrain.store.rows import FoundPage

_LONGEST = 700  # characters of a claim
_MOST_QUOTES = 8  # of a claim that are looked at
_SHARE = 0.2  # of the words of a claim must be in its quotations
_HANGUL = re.compile("[가-힣]")
_PARTICLE = re.compile(r"[A-Za-z](?:[은는이가을를에의와과로도]|에서|에게|으로)(?![가-힣]{2})")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_REFERENCE = re.compile(r"\s*[\[(](?:pages?\s)?p\d+(?:\s*,\s*p\d+)*[\])]")
# One in roman numerals; others are numbers that no quotation has.
_PLACE = re.compile(r"\b(?:pp?\.|pages?|chapter|section|vol\.)\s*[ivxlcdm]+\b", re.IGNORECASE)
Script = Literal["hangul", "latin", "other", ""]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a model says: a text, and quotations, each with the id of the page that it names."""

    text: str
    quotes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SourcePage:
    """A page that the model was given under an `id`; `shown` is so much of its text."""

    id: str
    page: FoundPage
    shown: str


@dataclass(frozen=True, slots=True)
class Quotation:
    """Words of a book, as they stand there, and where that is."""

    book_id: str
    title: str
    file: str
    page: int
    page_label: str
    chapter: str
    quote: str

    @property
    def source(self) -> str:
        """Title, chapter and page, for a person."""
        place = place_of(self.page_label, self.page)
        if not self.chapter:
            return fill("{title}, {place}", title=self.title, place=place)
        return fill(
            "{title}, “{chapter}”, {place}", title=self.title, chapter=self.chapter, place=place
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim that the books bear out, in the words of the model, with words of theirs."""

    text: str
    quotes: tuple[Quotation, ...]


@dataclass(frozen=True, slots=True)
class Struck:
    """A claim that they do not; `reason` is said to the model."""

    claim: Claim
    reason: str


def judge(claim: Claim, pages: Sequence[SourcePage], question: str) -> Statement | Struck:
    """Whether a claim may be shown, and with which of its quotations."""
    text = " ".join(_REFERENCE.sub("", printable(" ".join(claim.text.split()))).split())
    text = unicodedata.normalize("NFC", text)
    if not text or len(text) > _LONGEST:
        return Struck(claim, "a claim is one or two sentences")
    if not _speaks_as(text, question):
        return Struck(claim, "the claim is not in the language of the question")
    found = [
        quotation
        for page_id, quote in claim.quotes[:_MOST_QUOTES]
        if (quotation := locate(quote, page_id, pages))
    ]
    quotes = tuple(dict.fromkeys(found))
    if not quotes:
        return Struck(claim, "no quotation of it stands on a page, whole and word for word")
    if reason := _excess(text, quotes):
        return Struck(claim, reason)
    return Statement(text, quotes)


def struck_quotes(claim: Claim, pages: Sequence[SourcePage]) -> int:
    """How many of its quotations that are looked at stand on none of the pages."""
    looked_at = claim.quotes[:_MOST_QUOTES]
    return sum(locate(quote, page_id, pages) is None for page_id, quote in looked_at)


def locate(quote: str, page_id: str, pages: Sequence[SourcePage]) -> Quotation | None:
    """Where a quotation stands: on the page that is named, else on another that was read."""
    for source in sorted(pages, key=lambda source: source.id != page_id):
        text = unicodedata.normalize("NFC", source.page.page.text)
        if place := find_quotation(quote, text):
            page = source.page.page
            return Quotation(
                source.page.book_id, source.page.title, source.page.file, page.number, page.label,
                page.chapter_at(place[0]), " ".join(text[slice(*place)].split()),
            )  # fmt: skip
    return None


def _excess(text: str, quotes: Sequence[Quotation]) -> str:
    """What a claim has that its quotations lack, as a reason; "" where that is nothing."""
    parts = [quotation.quote for quotation in quotes]
    said = "\n".join(parts)
    lacking = [*unsupported(text, said), *unsupported_names(text, said)]
    named = [quotation.title for quotation in quotes] + [quotation.chapter for quotation in quotes]
    known = plain("\n".join([said, *named])).lower()
    lacking += [w for w in in_marks(text) if plain(w).lower().rstrip(".,") not in known]
    if lacking:
        return f"its quotations do not have: {lacking[0]}"
    if _PLACE.search(text):
        return "it names a page"
    if contradicts(text, parts):
        return "its quotations say the opposite"
    return "" if _shares_words(text, said) else "its quotations are about something else"


def _shares_words(text: str, said: str) -> bool:
    """Whether enough words of a claim are in what it quotes; of two scripts nobody can tell."""
    if script_of(text) != script_of(said):
        return True
    words, known = _meant(text), _meant(said)
    return not words or len(words & known) >= _SHARE * len(words)


def _meant(text: str) -> set[str]:
    terms = {term for term in literal_terms(text) if not term.startswith(WHOLE)}
    return terms - FUNCTION_WORDS


def script_of(text: str) -> Script:
    """That of its words, code left out; Korean text with many Latin words in it is Korean. "" where
    it has no words."""
    for name in names_of(text):
        text = text.replace(name, " ")
    hangul, latin = len(_HANGUL.findall(text)), len(_LATIN.findall(text))
    others = sum(map(str.isalpha, text)) - hangul - latin
    if others > hangul + latin:
        return "other"
    worth = 8 if _PARTICLE.search(text) else 4  # a letter of Hangul says as much as so many others
    return "hangul" if worth * hangul > latin else "latin" if latin else ""


def _speaks_as(text: str, question: str) -> bool:
    """Whether a claim is in the script of the question, as far as both have one."""
    said, asked = script_of(text), script_of(question)
    return said == asked or not said or not asked
