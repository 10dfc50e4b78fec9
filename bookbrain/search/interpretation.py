"""Which commands of a query are obeyed: where the query does not tell, the books do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bookbrain.index import analyzer
from bookbrain.index.analyzer import FUNCTION_WORDS, PAIR, WHOLE, fold, literal_terms
from bookbrain.index.bm25 import KeywordIndex
from bookbrain.model import Clause
from bookbrain.search.syntax import Instruction, ParsedQuery, option_pattern, phrase_pattern
from bookbrain.store.catalog import Catalog

_LOOKED_AT = 200  # pages, the likeliest first


@dataclass(frozen=True, slots=True)
class Interpretation:
    """The commands that are obeyed, the `options` that are text, and what is said of all."""

    obeyed: tuple[Instruction, ...] = ()
    options: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()


def interpret(parsed: ParsedQuery, index: KeywordIndex, catalog: Catalog) -> Interpretation:
    """Decide over all books, so that a query means the same wherever it is asked."""
    obeyed, options, clauses = [], [], []
    for one in parsed.instructions:
        meaning = one.kind if one.certain else _meaning(one, parsed, index, catalog)
        if meaning == one.kind:
            obeyed.append(one)
        elif meaning == "text":
            options.append(one.words)
        if meaning:
            other = parsed.otherwise(one, obeyed=meaning == one.kind)
            clauses.append(Clause(meaning, one.words, other))
    return Interpretation(tuple(obeyed), tuple(options), tuple(clauses))


def _meaning(
    one: Instruction, parsed: ParsedQuery, index: KeywordIndex, catalog: Catalog
) -> Literal["without", "exactly", "text", "absent"] | None:
    """None where it does not matter: a word that no page has is not left out."""
    own = literal_terms(one.words)
    if one.kind == "exactly":
        together = [*own, *words_of_meaning(parsed.rest)]
        found = _stands(phrase_pattern(one.words), together, index, catalog)
        return "exactly" if found else "absent"
    if not len(index.having_all(own)):
        return None
    beside = parsed.beside(one)
    pattern, together = option_pattern(one.words, beside), [*literal_terms(beside), *own]
    printed = _stands(pattern, together, index, catalog)
    return "text" if printed else "without"


def _stands(
    pattern: re.Pattern[str], terms: Sequence[str], index: KeywordIndex, catalog: Catalog
) -> bool:
    """Whether the pattern is on a page that has all the terms; the likeliest are looked at."""
    having = index.having_all(terms)
    if not len(having):
        return False
    mask = np.zeros(index.documents, np.bool_)
    mask[having] = True
    likely = index.best(index.look_up(analyzer.query_weights(terms)), _LOOKED_AT, mask)
    pages = catalog.find_pages(map(index.place, likely))
    return any(pattern.search(fold(found.page.text)) for found in pages.values())


def words_of_meaning(text: str) -> list[str]:
    """The terms of a text that a page with all of its words has, without function words."""
    return plain_words(analyzer.terms(text))


def plain_words(terms: Sequence[str]) -> list[str]:
    """The words among terms that say something; others only where nothing else is."""
    content = [term for term in terms if term not in FUNCTION_WORDS] or [*terms]
    return [term for term in content if not term.startswith((PAIR, WHOLE))] or content
