"""What could not be read of a book, or not be embedded, as sentences for its owner."""

import sqlite3
from collections.abc import Sequence

from bookbrain.index.rows import parse_spans
from bookbrain.wording import Filled, fill, message_of, of_row


def problems_of(db: sqlite3.Connection, book_id: str, space: str) -> tuple[str, ...]:
    """Those of a book of the catalog: pages, and passages whose embedding `space` refused."""
    pages: dict[str, list[int]] = {}
    for number, problem in db.execute(
        "SELECT number, problem FROM page WHERE book_id = ? AND problem <> '' ORDER BY number",
        (book_id,),
    ):
        pages.setdefault(problem, []).append(number)
    refused: dict[str, list[int]] = {}
    for reason, spans in db.execute(
        """SELECT reason, spans FROM refused LEFT JOIN passage USING (book_id, ordinal)
           WHERE book_id = ? AND space = ? ORDER BY ordinal""",
        (book_id, space),
    ):
        refused.setdefault(reason, []).append(parse_spans(spans)[0].page if spans else 0)
    return (
        *(
            fill("{pages}: {problem}", pages=_pages(numbers), problem=message_of(problem))
            for problem, numbers in pages.items()
        ),
        *(
            fill(
                "{pages}: a passage is found by keyword only, its embedding was refused ({reason})",
                pages=_pages(numbers),
                reason=of_row(reason),
            )
            for reason, numbers in refused.items()
        ),
    )


def _pages(numbers: Sequence[int]) -> Filled:
    """'page 3', 'pages 1-4, 9'."""
    runs: list[list[int]] = []
    for number in dict.fromkeys(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    listed = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return fill("page {number}", number=listed)
    return fill("pages {numbers}", numbers=listed)
