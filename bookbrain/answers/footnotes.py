"""An answer as Markdown to paste: statements, and below them a footnote for each quotation."""

import re

from bookbrain.answers.answer import Answer
from bookbrain.answers.gate import Quotation
from bookbrain.messages import Language, fill, translated
from bookbrain.model import markdown_text, printable, source_markdown

_CODE = re.compile(r"(`[^`]+`)")


def answer_markdown(answer: Answer, language: Language) -> str:
    """Each quotation has one number, however often it is used; its footnote has the words, title,
    chapter and printed page. Where the books do not say, that, and the nearest pages; "" where it
    ended before anything was said."""
    numbers: dict[Quotation, int] = {}
    lines = []
    for statement in answer.statements:
        marks = [numbers.setdefault(one, len(numbers) + 1) for one in statement.quotes]
        lines.append(_said(statement.text) + "".join(f"[^{number}]" for number in marks) + "\n")
    for quotation, number in numbers.items():
        source = _source(quotation, language)
        lines.append(f"[^{number}]: “{markdown_text(quotation.quote)}” — {source}")
    if not answer.statements and not answer.stopped:
        lines.append(translated(fill("Your books do not say."), language))
        if answer.nearest:
            lines.append(f"\n{translated(fill('The nearest pages:'), language)}\n")
        lines += [f"- {_source(one, language)}" for one in answer.nearest]
    return "".join(f"{line}\n" for line in lines)


def _said(text: str) -> str:
    """What the model says, as text: but its code stays code."""
    parts = _CODE.split(text)
    return "".join(
        printable(part) if number % 2 else _spaced(part) for number, part in enumerate(parts)
    )


def _spaced(part: str) -> str:
    """As text, with the blanks at its ends, which part it from code."""
    before = part[: len(part) - len(part.lstrip())] and " "
    behind = part[len(part.rstrip()) :] and " "
    return f"{before}{markdown_text(part)}{behind}" if part.strip() else before


def _source(quotation: Quotation, language: Language) -> str:
    return source_markdown(
        quotation.title, quotation.chapter, quotation.page_label, quotation.page, language
    )
