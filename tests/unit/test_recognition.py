"""Pages are read from their pictures; whatever goes wrong costs one page, with a reason."""

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from numpy.typing import NDArray
from reportlab.pdfgen.canvas import Canvas
from support import pdfs
from support.shelf import wait_for

from bookbrain.errors import UnavailableError
from bookbrain.ocr.engine import RecognisedPage, Word, letters_of
from bookbrain.ocr.pace import keep_pace, seconds_for
from bookbrain.ocr.page_scan import MOST_PIXELS, PageScan, UnreadPageError
from bookbrain.ocr.tesseract import Tesseract, find_tesseract
from bookbrain.ocr.tesseract_output import fit_to_ink, words_of_output
from bookbrain.paths import LibraryPaths
from bookbrain.server.probes import text_of

HEAD = (
    "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"
)
UPRIGHT = (0.24, 0.0, 0.0, -0.24, 0.0, 842.0)


def table(*lines: Sequence[str], confidence: float = 90) -> bytes:
    """As tesseract writes lines of words: each is 10 pixels wide for a letter, and 5 apart."""
    rows = [HEAD, "1\t1\t0\t0\t0\t0\t0\t0\t2480\t3508\t-1\t"]
    for number, words in enumerate(lines, 1):
        rows.append(f"4\t1\t1\t1\t{number}\t0\t0\t{40 * number}\t900\t30\t-1\t")
        left = 0
        for place, word in enumerate(words, 1):
            width = 10 * len(word)
            box = f"{left}\t{40 * number}\t{width}\t30"
            rows.append(f"5\t1\t1\t1\t{number}\t{place}\t{box}\t{confidence}\t{word}")
            left += width + 5
    return "\n".join([*rows, ""]).encode()


def texts(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words]


class TestSpaces:
    def test_the_text_has_the_spaces(self) -> None:
        """As `이 옵션은 ulem 패키지도` comes: the table has parted the Korean words."""
        parted = table(["이", "옵", "션은", "ulem", "패", "키지도"], ["밑줄", "긋기"])
        words = words_of_output(parted, "이 옵션은   ulem 패키지도\n\n밑줄긋기\n".encode())
        assert texts(words) == ["이", "옵션은", "ulem", "패키지도", "밑줄긋기"]
        assert words[1].box == (15, 40, 50, 70)
        assert [word.line for word in words] == [0, 0, 0, 0, 1]

    def test_lines_are_not_joined(self) -> None:
        words = words_of_output(table(["자바", "스레"], ["드를"]), "자바 스레드를\n".encode())
        assert texts(words) == ["자바", "스레", "드를"]

    @pytest.mark.parametrize(
        "text",
        [
            "스레드는 락을 푼다 그리고 기다린다 다시",
            "스레드 는는 락을 푼다 그리고 기다린다 다시",
            "스레X는 락을 푼다 그리고 기다린다 다시",
            "스레드는 락 을을 푼다 그리고 기다린다 다시",
            "스레드는 을 푼다 그리고 기다린다 다시",
        ],
    )
    def test_out_of_step_harms_nothing_else(self, text: str) -> None:
        pieces = ["스", "레드", "는", "락", "을", "푼다", "그", "리고", "기다", "린다", "다", "시"]
        words = words_of_output(table(pieces), text.encode())
        assert texts(words)[-4:] == ["푼다", "그리고", "기다린다", "다시"]

    def test_in_one_form_of_unicode(self) -> None:
        parted = table([normalize("NFD", "한글")])
        assert texts(words_of_output(parted, normalize("NFD", "한글").encode())) == ["한글"]

    def test_confidence_is_by_length(self) -> None:
        one, other = table(["가나다"], confidence=90), table(["가나다"], ["라"], confidence=50)
        both = one + b"5\t1\t1\t1\t1\t2\t40\t40\t10\t30\t50\t\xeb\x9d\xbc\n"
        (word,) = words_of_output(both, "가나다라".encode())
        assert word.confidence == 80
        assert (
            RecognisedPage(words_of_output(other, "가나다\n라".encode()), UPRIGHT).confidence == 50
        )
        assert RecognisedPage((), UPRIGHT).confidence == 0

    def test_a_page_without_words(self) -> None:
        assert words_of_output(table(), b"\n") == ()
        assert words_of_output(table([" ", ""]), b"") == ()

    @pytest.mark.parametrize(
        ("written", "plain"),
        [
            (b"", b""),
            (b"\n", b"words"),
            (table(["words"]), b""),
            (table(["word"] * 30)[:-400], b"word " * 30),
            (table(["word"] * 30), b"word " * 20),
            (table(["words"]).replace(b"words", b"w\xff\xferds"), b"words"),
            (table(["words"]), b"w\xff\xferds"),
            (table(["words"]).replace(b"\t30\t90", b"\t-3\t90"), b"words"),
            (table(["words"]).replace(b"\t30\t90", b"\tx\t90"), b"words"),
            (table(["words"]).replace(b"\t90\t", b"\t"), b"words"),
            (b"<html>" + table(["words"]), b"words"),
        ],
    )
    def test_what_tesseract_does_not_write(self, written: bytes, plain: bytes) -> None:
        with pytest.raises(ValueError):
            words_of_output(written, plain)


class TestPlaces:
    def test_a_box_is_divided_among_letters(self) -> None:
        page = RecognisedPage((Word("ab한", (100, 200, 180, 240), 90, 0),), UPRIGHT)
        (((_, a), (_, b), (_, korean)),) = letters_of(page)
        assert a == pytest.approx((24, 842 - 57.6, 28.8, 842 - 48))
        assert b[0] == pytest.approx(a[2])
        assert korean[2] - korean[0] == pytest.approx(2 * (b[2] - b[0]))
        assert korean[2] == pytest.approx(180 * 0.24)

    def test_on_a_page_on_its_side(self) -> None:
        """A pixel to the right is a point up, one down is one to the right."""
        page = RecognisedPage((Word("ab", (100, 200, 300, 240), 90, 0),), (0, 0.5, 0.5, 0, 10, 20))
        (((_, a), (_, b)),) = letters_of(page)
        assert a == pytest.approx((110, 70, 130, 120))
        assert b == pytest.approx((110, 120, 130, 170))

    def test_the_text_is_that_of_the_letters(self) -> None:
        words = words_of_output(table(["한", "글"], ["ulem"]), "한글\nulem".encode())
        page = RecognisedPage(words, UPRIGHT)
        assert page.text == "한글\nulem"
        assert ["".join(letter for letter, _ in word) for word in letters_of(page)] == [
            "한글",
            "ulem",
        ]


class TestInk:
    """A line of three words, the last with a tail as a y has."""

    TRUE = ((40, 80, 124, 120), (136, 80, 244, 120), (256, 80, 364, 132))

    @pytest.fixture
    def ink(self) -> NDArray[np.bool_]:
        ink = np.zeros((60, 200), np.bool_)
        for left, right in ((10, 31), (34, 61), (64, 91)):
            ink[20:30, left:right:2] = True  # strokes
        ink[30:33, 84:87] = True
        ink[2:12, 10:90:2] = True  # the line above
        return ink

    def fitted(
        self, ink: NDArray[np.bool_], **told: tuple[int, int, int, int]
    ) -> list[tuple[int, int, int, int]]:
        boxes = [told.get(name, box) for name, box in zip("abc", self.TRUE, strict=True)]
        line = [Word("x", box, 90, 0) for box in boxes]
        return [word.box for word in fit_to_ink(line, ink)]

    @pytest.mark.parametrize(
        "told",
        [
            {},
            {"a": (40, 10, 124, 120)},
            {"a": (84, 80, 124, 120)},
            {"a": (40, 80, 76, 120)},
            {"a": (40, 80, 220, 120)},
            {"b": (100, 80, 244, 120)},
            {"b": (170, 80, 244, 120)},
            {"c": (256, 80, 364, 160)},
            {"c": (256, 80, 520, 132)},
            {"c": (300, 80, 364, 132)},
        ],
    )
    def test_a_word_is_as_large_as_its_ink(
        self, ink: NDArray[np.bool_], told: dict[str, tuple[int, int, int, int]]
    ) -> None:
        assert self.fitted(ink, **told) == list(self.TRUE)

    def test_a_rule_and_a_figure_beside_it_are_not_of_it(self, ink: NDArray[np.bool_]) -> None:
        ink[25, :] = True
        assert self.fitted(ink) == list(self.TRUE)
        ink[25, :] = False
        ink[:, 150:160] = True
        figure = Word("o", (600, 0, 640, 236), 90, 0)
        words = [*(Word("x", box, 90, 0) for box in self.TRUE), figure]
        assert [word.box for word in fit_to_ink(words, ink)][:3] == list(self.TRUE)

    def test_a_line_that_runs_up_stays(self, ink: NDArray[np.bool_]) -> None:
        """As the label of an axis."""
        label = Word("walrus", (40, 10, 60, 130), 90, 0)
        assert fit_to_ink([label], ink) == (label,)

    def test_a_box_without_ink_stays(self, ink: NDArray[np.bool_]) -> None:
        lost = Word("x", (600, 160, 640, 200), 90, 0)
        assert fit_to_ink([lost], ink) == (lost,)
        assert fit_to_ink([lost], np.zeros((1, 1), np.bool_)) == (lost,)
        assert fit_to_ink([], ink) == ()


class TestLinesOfAText:
    PAGE = RecognisedPage(
        tuple(
            Word(text, (0, 0, 10, 10), 90, line)
            for line, words in enumerate(
                (["락을", "잡", "는다."], ["def", "f():"], ["락을", "푼다."])
            )
            for text in words
        ),
        UPRIGHT,
    )

    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            ("락을 잡는다. def f():\n락을 푼다.", [0, 1, 2]),
            ("There is prose.\ndef f():", [1]),
            ("There is prose.\ndef f():\n락을 푼 다.", [1, 2]),
            ("락을 푼다. 더.", []),
            ("", []),
        ],
    )
    def test_those_in_which_it_ends(self, text: str, lines: list[int]) -> None:
        last = self.PAGE.last_of(text)
        assert last.words == tuple(word for word in self.PAGE.words if word.line in lines)
        assert last.matrix == UPRIGHT

    def test_also_where_a_word_is_whole_that_a_line_cut(self) -> None:
        lines = (["the", "archi-"], ["tecture"], ["of", "locks"])
        page = RecognisedPage(
            tuple(
                Word(text, (0, 0, 10, 10), 90, line)
                for line, words in enumerate(lines)
                for text in words
            ),
            UPRIGHT,
        )
        assert page.last_of("the architecture\nof locks") == page


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> PageScan:
    return PageScan(str(pdfs.scanned(tmp_path_factory.mktemp("scan") / "s.pdf", 1)), 1)


def program(folder: Path, script: str) -> str:
    """A program that answers as tesseract does when it is asked what it is, else reads so."""
    path = folder / "tesseract"
    path.write_text(
        f"""#!/bin/sh
case $1 in
--version) echo tesseract 5.3.0; exit ;;
--list-langs) printf 'available languages in "/nowhere/" (3):\\nHangul\\neng\\nosd\\n'; exit ;;
esac
[ "$2" = page ] || exit 1 # it is asked how the picture stands
{script}
"""
    )
    path.with_suffix(".noise").write_bytes(bytes(range(256)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


FAULTS = {
    "crashes": ("kill -SEGV $$", "failed on it (signal SIGSEGV)"),
    "fails": ("echo 'Error in pixReadMem' >&2; exit 1", "failed on it (exit code 1)"),
    "hangs": ("sleep 1000", "longer than 1.5 seconds"),
    "hangs without output": ("exec >&- 2>&-; sleep 1000", "longer than 1.5 seconds"),
    "is full": ("echo \"what(): std::bad_alloc\" >&2; kill -ABRT $$", "too much memory"),
    "writes nothing": (":", "cannot be used"),
    "writes empty files": (": >page.tsv; : >page.txt", "cannot be used"),
    "writes what is no text": ("tee page.tsv <$0.noise >page.txt", "cannot be used"),
    "writes far too much": ("exec head -c 1000000000 /dev/zero >page.tsv", "far more than a page"),
    "prints far too much": ("exec head -c 1000000000 /dev/zero", "far more than a page"),
    "makes a link": ("ln -s /etc/passwd page.tsv; : >page.txt", "cannot be used"),
    "makes a pipe": ("mkfifo page.tsv; : >page.txt", "cannot be used"),
}  # fmt: skip


class TestFaults:
    @pytest.mark.slow
    @pytest.mark.parametrize("fault", FAULTS)
    def test_each_has_a_name(self, tmp_path: Path, scan: PageScan, fault: str) -> None:
        script, reason = FAULTS[fault]
        (scratch := tmp_path / "scratch").mkdir()
        engine = replace(find_tesseract(program(tmp_path, script)), timeout=1.5, scratch=scratch)
        with pytest.raises(UnreadPageError) as error:
            engine.recognise(scan)
        assert reason in error.value.message
        assert error.value.hint
        assert os.listdir(scratch) == [], "nothing is left behind"

    @pytest.mark.slow
    @pytest.mark.parametrize(("sure", "read"), [(95, "락 a walrus"), (50, "walrus")])
    def test_lone_characters_that_are_doubtful_are_dust(
        self, tmp_path: Path, scan: PageScan, sure: float, read: str
    ) -> None:
        (tmp_path / "page.tsv").write_bytes(table(["락", "a", "walrus"], confidence=sure))
        (tmp_path / "page.txt").write_text("락 a walrus\n")
        engine = find_tesseract(program(tmp_path, f"cp {tmp_path}/page.* ."))
        assert engine.recognise(scan).text == read

    @pytest.mark.slow
    def test_what_it_started_ends_with_it(self, tmp_path: Path, scan: PageScan) -> None:
        engine = find_tesseract(program(tmp_path, f"sleep 98765 & echo $! >{tmp_path}/pid; wait"))
        with pytest.raises(UnreadPageError):
            replace(engine, timeout=1.5).recognise(scan)
        process = Path("/proc", (tmp_path / "pid").read_text().strip(), "cmdline")
        wait_for(lambda: "sleep" not in text_of(process), "it to be gone", 10)

    @pytest.mark.slow
    def test_no_secret_reaches_it(
        self, tmp_path: Path, scan: PageScan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        with pytest.raises(UnreadPageError):
            find_tesseract(program(tmp_path, f"env >{tmp_path}/env")).recognise(scan)
        assert "sk-secret" not in (tmp_path / "env").read_text()
        assert "OMP_THREAD_LIMIT=1\n" in (tmp_path / "env").read_text()

    @pytest.mark.slow
    def test_one_that_is_not_there(self, tmp_path: Path, scan: PageScan) -> None:
        with pytest.raises(UnavailableError, match="not installed") as error:
            find_tesseract(str(tmp_path / "none"))
        assert "apt-get install tesseract-ocr tesseract-ocr-script-hang" in error.value.hint
        gone = Tesseract("5", ("Hangul", "eng"), str(tmp_path / "none"))
        with pytest.raises(UnavailableError, match="not installed"):
            gone.recognise(scan)

    @pytest.mark.parametrize("missing", ["Hangul", "eng", "osd"])
    def test_one_without_a_model(self, tmp_path: Path, missing: str) -> None:
        command = program(tmp_path, "")
        text = Path(command).read_text().replace(f"{missing}\\n", "deu\\n")
        Path(command).write_text(text)
        with pytest.raises(UnavailableError, match=f"without its models {missing}") as error:
            find_tesseract(command)
        assert "apt-get install" in error.value.hint

    @pytest.mark.parametrize("answer", ["exit 3", "kill -SEGV $$", "exit 0"])
    def test_one_that_does_not_work(self, tmp_path: Path, answer: str) -> None:
        command = Path(program(tmp_path, ""))
        command.write_text(f"#!/bin/sh\n{answer}\n")
        with pytest.raises(UnavailableError, match="does not work here"):
            find_tesseract(str(command))

    def test_script_models_in_a_folder_of_their_own(self, tmp_path: Path) -> None:
        command = Path(program(tmp_path, ""))
        command.write_text(command.read_text().replace("\\nHangul", "\\nscript/Hangul"))
        assert find_tesseract(str(command)).models == ("script/Hangul", "eng")


class TestPictures:
    @pytest.mark.slow
    @pytest.mark.parametrize("make", [pdfs.hang, pdfs.balloon])
    def test_hostile_pages(self, tmp_path: Path, make: object) -> None:
        path = make(tmp_path / "h.pdf")  # type: ignore[operator]
        scan = PageScan(str(path), 1, timeout=3, memory_mb=700)
        try:
            picture = scan.paint()
        except UnreadPageError as error:
            assert error.hint
        else:
            assert len(picture.pgm) < MOST_PIXELS + 100

    @pytest.mark.slow
    def test_what_is_no_pdf_and_no_page(self, tmp_path: Path) -> None:
        (tmp_path / "x.pdf").write_bytes(b"%PDF-1.4 nothing")
        with pytest.raises(UnreadPageError, match="cannot be painted"):
            PageScan(str(tmp_path / "x.pdf"), 1).paint()
        with pytest.raises(UnreadPageError, match="cannot be painted"):
            PageScan(str(pdfs.scanned(tmp_path / "s.pdf", 1)), 7).paint()

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [(2.8, 2.8), (14000, 14000), (14000, 20), (20, 14000)])
    def test_of_every_size(self, tmp_path: Path, size: tuple[float, float]) -> None:
        canvas = Canvas(str(tmp_path / "b.pdf"), pagesize=size)
        canvas.rect(size[0] / 4, size[1] / 4, size[0] / 2, size[1] / 2, fill=1)
        canvas.save()
        picture = PageScan(str(tmp_path / "b.pdf"), 1).paint()
        down, across = picture.ink.shape
        assert 16 * down * across <= MOST_PIXELS
        assert max(down, across) <= 7500
        if min(size) > 100:
            assert picture.ink.any()

    @pytest.mark.slow
    def test_dots_that_lead_to_a_number_are_erased(self, tmp_path: Path) -> None:
        """Of a table of contents; three dots are not, nor specks of dust."""

        def ink(*dots: float) -> int:
            canvas = Canvas(str(tmp_path / "b.pdf"), pagesize=(300, 200))
            canvas.drawString(20, 100, "Schedulers")
            for x in dots:
                canvas.circle(x, 101, 0.6, stroke=0, fill=1)
            canvas.save()
            return int(PageScan(str(tmp_path / "b.pdf"), 1).paint().ink.sum())

        plain = ink()
        assert ink(*range(140, 280, 6)) == plain
        assert ink(*range(140, 280, 10)) == plain
        assert ink(140, 146, 152) > plain
        assert ink(140, 280) > plain

    @pytest.mark.slow
    def test_a_blank_page_is_read_as_that(self, tmp_path: Path) -> None:
        """Also one that was scanned, with light that falls off: nobody is asked to read it."""
        canvas = Canvas(str(tmp_path / "b.pdf"), pagesize=(595, 842))
        canvas.linearGradient(0, 0, 595, 842, ((0.9, 0.9, 0.9), (0.6, 0.6, 0.6)))
        canvas.save()
        scan = PageScan(str(tmp_path / "b.pdf"), 1)
        page = find_tesseract(program(tmp_path, "kill -SEGV $$")).recognise(scan)
        assert page.words == ()
        assert page.text == ""


def test_what_it_takes_is_guessed_until_some_pages_were_read(tmp_path: Path) -> None:
    assert seconds_for(0, tmp_path) == 0
    guess = seconds_for(100, tmp_path)
    assert guess >= 100 * 6 / (os.cpu_count() or 1)
    keep_pace(tmp_path, 40.0, 20)
    assert seconds_for(100, tmp_path) == 200
    for left in ("", "[]", '{"seconds": "x"}', '{"seconds": -1}', '{"seconds": 1e99}', "[" * 9999):
        LibraryPaths(tmp_path).ocr_pace.write_text(left)
        assert seconds_for(100, tmp_path) == guess
