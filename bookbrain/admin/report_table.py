"""A month of use as a table of 80 columns."""

from collections.abc import Iterator

from rich.cells import cell_len

from bookbrain.admin.report import Report, Use
from bookbrain.cli.show import shown
from bookbrain.wording import fill

_WIDTHS = (5, 9, 8, 8, 9, 6, 9, 10, 8, 7)
_SHORT, _LONG, _SLOW = "{:.1f} ms", "{:.0f} ms", "{:.0f} s"
_MILLIONS = "{:,.1f} M"


def table_of(report: Report) -> Iterator[str]:
    """A heading, a line for each day on which something happened, and the sums."""
    yield shown(fill("BookBrain in {month}", month=report.month))
    yield _row(
        shown("day"), shown("searches"), "p50", "p95", shown("degraded"), shown("added"),
        shown("rejected"), shown("tokens"), shown("cost"), shown("errors"),
    )  # fmt: skip
    for day, use in report.days:
        if use != Use():
            yield _row(f"{day:%m-%d}", *_cells(use))
    yield "─" * sum(_WIDTHS)
    yield _row(shown("all"), *_cells(report.total))


def money(dollars: float | None) -> str:
    """ "?" where a price is not known."""
    if dollars is None:
        return "?"
    if dollars < 1:
        return f"${dollars:.4f}"
    return f"${dollars:.2f}" if dollars < 1000 else f"${dollars:,.0f}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    if value < 10:
        return _SHORT.format(value)
    return _LONG.format(value) if value < 10_000 else _SLOW.format(value / 1000)


def _cells(use: Use) -> list[str]:
    return [
        f"{use.searches:,}",
        milliseconds(use.p50),
        milliseconds(use.p95),
        f"{use.share_degraded:.1%}" if use.searches else "-",
        f"{use.added:,}",
        f"{use.rejected:,}",
        f"{use.tokens:,}" if use.tokens < 1e7 else _MILLIONS.format(use.tokens / 1e6),
        money(use.dollars),
        f"{use.errors:,}",
    ]


def _row(*cells: str) -> str:
    """Right-aligned, by the width on the screen."""
    row = ""
    for cell, width in zip(cells, _WIDTHS, strict=True):
        row += " " * max(bool(row), width - cell_len(cell)) + cell
    return row
