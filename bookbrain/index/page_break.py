"""Where the text of a page goes on on the next: what is cut there still belongs together."""

from collections.abc import Iterator

_AROUND = 400  # characters on either side
_LONGEST_HEAD = 80  # characters of a line that may be a running head, a foot or a page number


def joints(text: str, following: str) -> Iterator[tuple[str, int]]:
    """The end of one page and the start of the next as one text, and where in it the break is.

    A line or two beside the break may be the page's number and running head: there is a joint with
    them and one without. A word that is hyphenated at the break is also there in one piece.
    """
    for tail in _shorter(text.rstrip().split("\n"), 1, last=True):
        end = tail[-_AROUND:]
        for head in _shorter(following.lstrip().split("\n"), 2, last=False):
            start = head[:_AROUND]
            yield f"{end}\n{start}", len(end)
            if end.endswith("-"):
                yield end[:-1] + start, len(end) - 1


def _shorter(lines: list[str], most: int, *, last: bool) -> Iterator[str]:
    """The lines; and without up to `most` of the last, or first, as long as these are short."""
    yield "\n".join(lines)
    for count in range(1, min(most, len(lines) - 1) + 1):
        if len(lines[-count if last else count - 1]) > _LONGEST_HEAD:
            return
        yield "\n".join(lines[:-count] if last else lines[count:])
