"""A month of use as a table of 80 columns."""

from collections.abc import Iterator

from rich.cells import cell_len

from bookbrain.admin.report import Report
from bookbrain.cli.show import shown
from bookbrain.use import Use, figures_of
from bookbrain.wording import fill

_WIDTHS = (5, 9, 8, 8, 9, 6, 9, 10, 8, 7)


def table_of(report: Report) -> Iterator[str]:
    """A heading, a line for each day on which something happened, and the sums."""
    yield shown(fill("BookBrain in {month}", month=report.month))
    yield _row(
        shown("day"), shown("searches"), "p50", "p95", shown("degraded"), shown("added"),
        shown("rejected"), shown("tokens"), shown("cost"), shown("errors"),
    )  # fmt: skip
    for day, use in report.days:
        if use != Use():
            yield _row(f"{day:%m-%d}", *figures_of(use))
    yield "─" * sum(_WIDTHS)
    yield _row(shown("all"), *figures_of(report.total))


def _row(*cells: str) -> str:
    """Right-aligned, by the width on the screen."""
    row = ""
    for cell, width in zip(cells, _WIDTHS, strict=True):
        row += " " * max(bool(row), width - cell_len(cell)) + cell
    return row
