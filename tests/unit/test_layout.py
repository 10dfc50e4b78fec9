"""The lines of a page come in reading order, and its words apart, however they are drawn."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, zip_longest
from math import cos, radians, sin

import pytest
from support.scans import needs_korean_font
from support.typeset import Drawn, column, typeset, with_gaps

from bookbrain.formats.pdf import PdfReader

LEFT = (
    "A bloom filter answers that a key is", "surely absent or perhaps there, so",
    "reads of missing keys cost no disk", "access in most of the levels, which",
    "is why every table has one of its own",
)  # fmt: skip
RIGHT = (
    "Compaction merges sorted runs and", "drops the values that newer writes",
    "have replaced, which costs writes", "amplified in the background, as all",
    "that is written once is written again",
)  # fmt: skip
KOREAN_LEFT = (
    "블룸 필터는 어떤 키가 확실히 없는지", "아니면 있을 수도 있는지를 알려 주므로",
    "없는 키를 읽을 때 디스크를 읽지 않고", "대부분의 단계에서 바로 답할 수 있으니",
)  # fmt: skip
KOREAN_RIGHT = (
    "컴팩션은 정렬된 구간을 하나로 합치며", "새로 쓴 값이 대신한 옛 값을 버리는데",
    "그 대가로 뒤에서 쓰기가 더 늘어나므로", "쓰기 증폭을 늘 함께 살펴보아야 한다고",
)  # fmt: skip
NARROW = (
    ("Locks keep writers", "apart while they", "change one page,", "until they commit."),
    ("Latches are shorter", "and guard what is", "in memory against", "threads of our own."),
    ("Leases end alone so", "that a node which", "died holds nothing", "longer than agreed."),
)  # fmt: skip


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """The lines of a page that is drawn so."""
    path = tmp_path_factory.mktemp("layout") / "page.pdf"
    with PdfReader(timeout=30, memory_mb=1024) as reader:

        def lines_of(drawn: Sequence[Drawn], rotate: int = 0) -> str:
            (page,) = reader.read(typeset(path, drawn, rotate)).pages
            return page.lines or ""

        yield lines_of


def by_rows(*columns: Sequence[Drawn]) -> list[Drawn]:
    """The first lines of all columns, then their second ones."""
    return [line for row in zip_longest(*columns) for line in row if line]


class TestColumns:
    @pytest.mark.parametrize(("left", "right"), [(LEFT, RIGHT), (KOREAN_LEFT, KOREAN_RIGHT)])
    def test_two_that_are_drawn_row_by_row(
        self, read: Callable[..., str], left: Sequence[str], right: Sequence[str]
    ) -> None:
        drawn = by_rows(column(left), column(right, 310))
        assert read(drawn) == "\n".join((*left, *right))

    def test_their_lines_need_not_be_level(self, read: Callable[..., str]) -> None:
        drawn = by_rows(column(LEFT), column(RIGHT, 310, top=753))
        assert read(drawn) == "\n".join((*LEFT, *RIGHT))

    def test_three(self, read: Callable[..., str]) -> None:
        drawn = by_rows(*(column(texts, 60 + 170 * n) for n, texts in enumerate(NARROW)))
        assert read(drawn) == "\n".join(chain(*NARROW))

    def test_under_a_heading_and_over_a_foot_that_cross_them(
        self, read: Callable[..., str]
    ) -> None:
        head = "Storage engines for those who have to keep everything that was ever written down"
        foot = "Both of these are described at length in the chapter about trees and their levels"
        drawn = [
            Drawn(head, 60, 790), *by_rows(column(LEFT), column(RIGHT, 310)), Drawn(foot, 60, 660),
        ]  # fmt: skip
        assert read(drawn) == "\n".join((head, *LEFT, *RIGHT, foot))

    def test_the_right_one_is_drawn_first(self, read: Callable[..., str]) -> None:
        assert read([*column(RIGHT, 310), *column(LEFT)]) == "\n".join((*LEFT, *RIGHT))

    def test_those_that_are_drawn_one_by_one_stay(self, read: Callable[..., str]) -> None:
        assert read([*column(LEFT), *column(RIGHT, 310)]) == "\n".join((*LEFT, *RIGHT))


class TestRows:
    TABLES = (
        (("Level", "Dirty read", "Phantom"), ("read uncommitted", "possible", "possible"),
         ("serializable", "impossible", "impossible"), ("snapshot", "impossible", "sometimes")),
        pytest.param(
            (("종류", "크기", "뜻"), ("정수", "4바이트", "작은 수"), ("실수", "8바이트", "큰 수"),
             ("문자", "가변", "글자")),
            marks=needs_korean_font,
        ),
        (("-a", "shows all entries of the folder"), ("-l", "one entry a line, with its owner"),
         ("-R", "goes down into every folder"), ("-t", "sorts them by their last change")),
    )  # fmt: skip

    @pytest.mark.parametrize("table", TABLES)
    def test_a_table_keeps_them(
        self, read: Callable[..., str], table: Sequence[tuple[str]]
    ) -> None:
        drawn = [
            Drawn(cell, 60 + 160 * n, 760 - 16 * number)
            for number, row in enumerate(table)
            for n, cell in enumerate(row)
        ]
        assert read(drawn).split() == " ".join(map(" ".join, table)).split()

    def test_contents_keep_them(self, read: Callable[..., str]) -> None:
        titles = ("1 What a storage engine is for", "2 Trees of sorted runs", "3 Logs and pages",
                  "4 Recovery after a crash", "5 Locks, latches and leases")  # fmt: skip
        drawn = by_rows(column(titles), column([str(7 + 12 * n) for n in range(5)], 500))
        rows = [f"{title} {7 + 12 * n}" for n, title in enumerate(titles)]
        assert read(drawn).split() == " ".join(rows).split()


class TestOrder:
    @pytest.mark.parametrize("texts", [LEFT, KOREAN_LEFT, LEFT[:3] * 5])
    def test_lines_that_are_drawn_from_the_last_to_the_first(
        self, read: Callable[..., str], texts: Sequence[str]
    ) -> None:
        assert read(column(texts)[::-1]) == "\n".join(texts)

    def test_a_foot_that_is_drawn_first_stays_where_pdfium_has_it(
        self, read: Callable[..., str]
    ) -> None:
        drawn = [Drawn("17", 300, 40), *column(LEFT * 3)]
        assert read(drawn) == "\n".join(("17", *LEFT * 3))


class TestTurnedText:
    CELLS = (("Level", "Dirty read", "Phantom"), ("read uncommitted", "possible", "possible"),
             ("serializable", "impossible", "impossible"))  # fmt: skip

    @pytest.mark.parametrize("turn", [90, 180, 270])
    def test_cells_and_lines_are_apart(self, read: Callable[..., str], turn: int) -> None:
        across, down = {90: ((0, 1), (1, 0)), 180: ((-1, 0), (0, 1)), 270: ((0, -1), (-1, 0))}[turn]
        drawn = [
            Drawn(
                cell,
                300 + 120 * n * across[0] + 18 * number * down[0],
                400 + 120 * n * across[1] + 18 * number * down[1],
                turn=turn,
            )
            for number, row in enumerate(self.CELLS)
            for n, cell in enumerate(row)
        ]
        title = Drawn("Table 7-1 Isolation levels", 60, 780)
        rows = [" ".join(row) for row in self.CELLS]
        assert read([title, *drawn]) == "\n".join([title.text, *rows])

    @pytest.mark.parametrize("turn", [90, 180, 270])
    def test_prose(self, read: Callable[..., str], turn: int) -> None:
        step = {90: (14, 0), 180: (0, 14), 270: (-14, 0)}[turn]
        drawn = [
            Drawn(text, 300 + step[0] * n, 400 + step[1] * n, turn=turn)
            for n, text in enumerate(LEFT)
        ]
        assert read(drawn) == "\n".join(LEFT)

    @pytest.mark.parametrize("y", [200, 560])
    def test_a_caption_that_pdfium_takes_for_the_rest_of_the_head(
        self, read: Callable[..., str], y: int
    ) -> None:
        head = Drawn("2.1 Definition on an odd page", 60, 780)
        caption = [Drawn(text, 80 + 14 * n, y, turn=90) for n, text in enumerate(LEFT)]
        assert read([head, *caption]) == "\n".join([head.text, *LEFT])

    def test_lines_askew_are_whole(self, read: Callable[..., str]) -> None:
        turns = (20, 35, 70, 120, 340)
        rays = [
            Drawn(text, 300 + 90 * cos(radians(turn)), 400 + 90 * sin(radians(turn)), turn=turn)
            for turn, text in zip(turns, LEFT, strict=True)
        ]
        lines = " ".join(read([*column(RIGHT)[::-1], *rays]).split())
        assert all(text in lines for text in LEFT)

    def test_a_letter_that_is_turned_alone_stays_in_its_line(
        self, read: Callable[..., str]
    ) -> None:
        logo = [Drawn("Set by X", 60, 600), Drawn("E", 105, 605, turn=180), Drawn("TEX", 105, 600)]
        lines = read([*column(RIGHT)[::-1], *logo]).split("\n")
        assert lines[:-1] == [*RIGHT]
        assert sorted(lines[-1].replace(" ", "")) == sorted("SetbyXETEX")


class TestGaps:
    WORDS = ("unfair", "mutexes", "starve", "waiting", "threads", "forever")
    KOREAN = ("공정하지", "않은", "뮤텍스는", "기다리는", "스레드를", "굶긴다")

    @pytest.mark.parametrize("gap", [0.14, 0.17, 0.20, 0.25])
    @pytest.mark.parametrize("words", [WORDS, KOREAN])
    def test_narrow_ones_part_words(
        self, read: Callable[..., str], words: Sequence[str], gap: float
    ) -> None:
        assert read(with_gaps(words, gap)) == " ".join(words)

    @pytest.mark.parametrize("gap", [0.0, 0.04, 0.15, 0.5])
    @pytest.mark.parametrize("word", ["CONCURRENCYCONTROL", "데이터베이스트랜잭션"])
    def test_letters_that_are_all_as_far_apart_are_one_word(
        self, read: Callable[..., str], word: str, gap: float
    ) -> None:
        assert read([Drawn(word, 60, 700, spacing=10 * gap)]) == word


class TestRaisedDigits:
    @pytest.mark.parametrize(
        ("word", "digits", "rest"),
        [("idempotency", "3", ""), ("멱등성", "3", "을 가져야 한다."), ("fence", "12", "and then"),
         ("lock", "2", ", and")],
    )  # fmt: skip
    def test_they_are_apart_from_the_word(
        self, read: Callable[..., str], word: str, digits: str, rest: str
    ) -> None:
        pieces = with_gaps([word, digits, rest], 0, y=700)
        raised = pieces[1]._replace(y=704, size=6, font="Helvetica")
        text = read([*column(LEFT[:2]), pieces[0], raised, pieces[2]])
        assert word in text.split()
        assert digits in text.split() or f"{digits}{rest[:1]}" in text

    def test_digits_on_the_line_and_below_it_stay(self, read: Callable[..., str]) -> None:
        carbon, two = with_gaps(["H and CO", "2"], 0)
        text = read([Drawn("utf8 is for all", 60, 760), carbon, two._replace(y=697, size=6)])
        assert "utf8" in text
        assert "CO2" in text
