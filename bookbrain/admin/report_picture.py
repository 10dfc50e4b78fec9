"""A month of use as a picture: searches a day as bars, p95 as a line. SVG 1.1, no script."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from bookbrain.admin.report import Report
from bookbrain.admin.report_table import milliseconds, money
from bookbrain.cli.show import shown
from bookbrain.wording import fill

_WIDTH, _HEIGHT = 960, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 888, 104, 380  # of the plot
_LINES = 4  # of the grid
_STYLE = """
text { font: 13px system-ui, "Noto Sans KR", "Apple SD Gothic Neo", sans-serif; fill: #5b6472; }
.ground { fill: #ffffff; } .grid { stroke: #e4e8ee; } .axis { stroke: #b7bfca; }
.title { font-size: 21px; font-weight: 600; fill: #1d2430; } .sum { font-size: 14px; }
.bar { fill: #8fb3e8; } .degraded { fill: #e2a53b; }
.line { fill: none; stroke: #c2410c; stroke-width: 2; stroke-linejoin: round; }
.dot { fill: #c2410c; } .end { text-anchor: end; } .middle { text-anchor: middle; }
@media (prefers-color-scheme: dark) {
text { fill: #a5adba; } .ground { fill: #14181f; } .grid { stroke: #262d38; }
.axis { stroke: #465061; } .title { fill: #eef1f5; } .bar { fill: #4672b4; }
.line { stroke: #fb923c; } .dot { fill: #fb923c; } }
"""


def picture_of(report: Report) -> str:
    """The picture, in the language of the locale."""
    most = nice_top(max(use.searches for _, use in report.days))
    slowest = nice_top(max(math.ceil(use.p95 or 0) for _, use in report.days))
    title = shown(fill("BookBrain in {month}", month=report.month))
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect class="ground" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>',
        _text(_LEFT, 40, "title", title),
        _text(_LEFT, 66, "sum", _sums(report)),
        *_grid(most, slowest),
        *_bars(report, most),
        *_latencies(report, slowest),
        *_legend(),
        "</svg>\n",
    ]
    return "\n".join(pieces)


def nice_top(value: int) -> int:
    """The end of an axis for values up to `value`: 4, 8, 20, 40, 80, 200, …"""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if value <= _LINES * step * factor:
                return _LINES * step * factor
        step *= 10


def _sums(report: Report) -> str:
    total = report.total
    pairs = (
        (shown("searches"), f"{total.searches:,}"),
        ("p50", milliseconds(total.p50)),
        ("p95", milliseconds(total.p95)),
        (shown("degraded"), f"{total.share_degraded:.1%}"),
        (shown("added"), f"{total.added:,}"),
        (shown("rejected"), f"{total.rejected:,}"),
        (shown("tokens"), f"{total.tokens:,} ({money(total.dollars)})"),
        (shown("errors"), f"{total.errors:,}"),
    )
    return " · ".join(f"{name} {value}" for name, value in pairs)


def _grid(most: int, slowest: int) -> Iterator[str]:
    for line in range(_LINES + 1):
        y = _BOTTOM - (_BOTTOM - _TOP) * line / _LINES
        kind = "grid" if line else "axis"
        yield f'<line class="{kind}" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(_LEFT - 8, y + 4, "end", f"{most * line // _LINES:,}")
        yield _text(_RIGHT + 8, y + 4, "", milliseconds(slowest * line / _LINES))


def _bars(report: Report, most: int) -> Iterator[str]:
    width = (_RIGHT - _LEFT) / len(report.days)
    for place, (day, use) in enumerate(report.days):
        x = _middle(place, report)
        if day.day == 1 or day.day % 5 == 0:
            yield _text(x, _BOTTOM + 20, "middle", str(day.day))
        if not use.searches:
            continue
        hint = f"{day}: {use.searches:,} ({milliseconds(use.p95)})"
        yield f"<g><title>{escape(hint)}</title>"
        for kind, count in (("bar", use.searches), ("degraded", use.degraded)):
            height = (_BOTTOM - _TOP) * count / most
            yield (
                f'<rect class="{kind}" x="{x - width * 0.36:.1f}" y="{_BOTTOM - height:.1f}" '
                f'width="{width * 0.72:.1f}" height="{height:.1f}"/>'
            )
        yield "</g>"


def _latencies(report: Report, slowest: int) -> Iterator[str]:
    """A piece of line for each stretch of days with searches."""
    stretch: list[tuple[float, float]] = []
    for place, (_, use) in enumerate(report.days):
        if use.p95 is None:
            yield from _stretch(stretch)
            stretch = []
        else:
            height = (_BOTTOM - _TOP) * use.p95 / slowest
            stretch.append((_middle(place, report), _BOTTOM - height))
    yield from _stretch(stretch)


def _stretch(points: Sequence[tuple[float, float]]) -> Iterator[str]:
    if len(points) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline class="line" points="{path}"/>'
    yield from (f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)


def _legend() -> Iterator[str]:
    y = _HEIGHT - 20
    names = (("bar", shown("searches a day")), ("degraded", shown("of them degraded")))
    for place, (kind, name) in enumerate(names):
        x = _LEFT + place * 190
        yield f'<rect class="{kind}" x="{x}" y="{y - 10}" width="14" height="10" rx="2"/>'
        yield _text(x + 22, y, "", name)
    x = _LEFT + 380
    yield f'<polyline class="line" points="{x},{y - 5} {x + 18},{y - 5}"/>'
    yield f'<circle class="dot" cx="{x + 9}" cy="{y - 5}" r="3"/>'
    yield _text(x + 26, y, "", shown("p95, the slowest search in 20"))


def _middle(place: int, report: Report) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (place + 0.5) / len(report.days)


def _text(x: float, y: float, kind: str, text: str) -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style}>{escape(text)}</text>'
