"""The system page: whether all is well, and what to do about what is not."""

import platform
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.metadata import version

import streamlit as st

from bookbrain import __version__
from bookbrain.checks.checklist import check_open_library
from bookbrain.errors import BookBrainError
from bookbrain.library import Library
from bookbrain.messages import fill, message_of
from bookbrain.paths import layout_of
from bookbrain.reports import Check, Day, State, figures_of, kept_use, last_check
from bookbrain.web.frame import coded, show_line, tr
from bookbrain.web.shelf import the_shelf

_LONG = timedelta(hours=1)  # the timer of a server comes every quarter of an hour


def look(library: Library, now: datetime) -> list[Check]:
    """All that is known, the worst first; costs nothing."""
    own = check_open_library(library)
    told = _told(library, {seen.name for seen in own}, now)
    return sorted([*own, *told], key=lambda seen: list(State).index(seen.state), reverse=True)


def _told(library: Library, known: Container[str], now: datetime) -> Iterator[Check]:
    """What the last health check of a server saw beside that; nothing where there is no server."""
    last = last_check(library.settings.home)
    if last is None:
        return
    yield from (seen for seen in last.seen if seen.name not in known)
    if now - last.at > _LONG:
        yield Check.warn(
            "health",
            fill("The last health check was at {time:%Y-%m-%d %H:%M} UTC.", time=last.at),
            "systemctl status bookbrain-health.timer",
        )


_COLORS = ("#4672b4", "#c27c0e")  # seen on white and on black
_HEIGHT = 220  # pixels
_PARTS = ("chromadb", "streamlit", "pypdfium2", "kiwipiepy")


def show_page() -> None:
    """One glance, then each thing that was looked at, then versions."""
    st.title(tr("System"), anchor=False)
    try:
        with the_shelf().patient_library() as library:
            seen = look(library, datetime.now(UTC))
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        return
    st.html(f'{_verdict(seen)}<ul class="checks">{"".join(map(_item, seen))}</ul>')
    layout = layout_of(library.settings.home)
    if layout and (days := kept_use(layout.logs)):
        _show_use(days)
    st.html(_versions())


def _show_use(days: Sequence[Day]) -> None:
    """The last days of a server, drawn and in numbers."""
    title = tr("Use in the last {days} days", days=len(days))
    st.html(f"<h2>{escape(title)}</h2>")
    complete = [use.searches - use.degraded for _, use in days]
    degraded = [use.degraded for _, use in days]
    _draw(tr("Searches a day"), days, {tr("complete"): complete, tr("degraded"): degraded})
    slow = tr("p95 in ms: 19 of 20 searches were quicker")
    _draw(slow, days, {"p95": [use.p95 or 0 for _, use in days]})
    st.html(_numbers(days))


def _draw(said: str, days: Sequence[Day], bars: Mapping[str, Sequence[float]]) -> None:
    when, names = tr("day"), [f"{day:%m-%d}" for day, _ in days]
    show_line("quiet", said)
    st.bar_chart(
        {when: names, **bars}, x=when, y=list(bars), x_label="", y_label="",
        color=list(_COLORS[: len(bars)]), height=_HEIGHT, alt=said, sort=False,
    )  # fmt: skip


def _numbers(days: Sequence[Day]) -> str:
    names = ["day", "searches", "p50", "p95", "degraded", "added", "rejected", "tokens", "cost",
             "errors"]  # fmt: skip
    head = "".join(f'<th scope="col">{escape(tr(name))}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{day:%m-%d}</th>'
        + "".join(f"<td>{escape(figure)}</td>" for figure in figures_of(use))
        + "</tr>"
        for day, use in days
    )
    return (
        f"<details><summary>{escape(tr('Day by day, in numbers'))}</summary>"
        f'<div class="use" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _verdict(seen: Sequence[Check]) -> str:
    failed, warned = (sum(one.state == state for one in seen) for state in (State.FAIL, State.WARN))
    if failed:
        return _line("fail", tr("Something is wrong: {count}.", count=failed))
    if warned:
        return _line("warn", tr("It works. To look at: {count}.", count=warned))
    return _line("ok", tr("All is well."))


def _line(kind: str, text: str) -> str:
    return f'<p class="verdict {kind}" role="status">{escape(text)}</p>'


def _item(seen: Check) -> str:
    remedy = tr("Next: {remedy}", remedy=message_of(seen.remedy))
    following = f'<p class="next">{coded(remedy)}</p>' if seen.remedy else ""
    return (
        f'<li class="{seen.state.lower()}"><span class="state">{escape(tr(seen.state))}</span>'
        f"<div><strong>{escape(tr(seen.name))}</strong> <span>{escape(tr(seen.seen))}</span>"
        f"{following}</div></li>"
    )


def _versions() -> str:
    parts = [f"BookBrain {__version__}", f"Python {platform.python_version()}"]
    parts += [f"{part} {version(part)}" for part in _PARTS]
    return f'<h2>{escape(tr("Versions"))}</h2><p class="quiet">{escape(" · ".join(parts))}</p>'


if __name__ == "__main__":
    show_page()
