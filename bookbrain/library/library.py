"""Library: every use of the shelf goes through here."""

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bookbrain.errors import BusyError, ConfigError, UnavailableError
from bookbrain.files import is_locked
from bookbrain.formats.format import find_books
from bookbrain.library import findings, maintenance, replacement
from bookbrain.library.findings import Expected, prove
from bookbrain.library.jobs import finish_jobs, parted, under_way
from bookbrain.library.maintenance import TakenExam, rename
from bookbrain.library.open_book import OpenBook, open_book, pick
from bookbrain.library.prepare import plan_file
from bookbrain.library.recognised_text import shelf_with_scans
from bookbrain.library.recognition import (
    OnPage,
    Wish,
    look_at_recognition,
    plan_recognition,
    recognise,
)
from bookbrain.model import (
    SILENT,
    AddReport,
    Arrival,
    Book,
    Mode,
    Outcome,
    Plan,
    Progress,
    RecognitionPlan,
    RecognitionReport,
    RecognitionState,
    SearchResult,
    edition_of,
    told_apart,
)
from bookbrain.ocr.engine import OcrEngine
from bookbrain.ocr.tesseract import find_engine
from bookbrain.paths import refuse_in_upgrade
from bookbrain.reports import Check
from bookbrain.search import retrieval
from bookbrain.search.evaluation import Evaluation, GoldenQuery, Tuning, evaluate, tune
from bookbrain.search.exam import UNKNOWN, Marks
from bookbrain.search.retrieval import ConnectedStores, similar
from bookbrain.settings import Settings
from bookbrain.store.copy import OnCopied, Snapshot, take_snapshot
from bookbrain.store.folder import AGAIN, DELETE_OTHERS, GO_ON, Stores, storage_errors

if TYPE_CHECKING:
    from bookbrain.answers.answer import Event
    from bookbrain.answers.conversation import Exchange
    from bookbrain.models.model_folder import ModelPlan
    from bookbrain.models.open_models import InstalledModel
    from bookbrain.ocr.vision import VisionEngine


class Library:
    """An open library; a context manager. One process writes at a time, readers never wait."""

    def __init__(self, settings: Settings) -> None:
        """Open or make the library in `settings.home`; raises BookBrainError when it cannot be."""
        with storage_errors():
            self._stores = ConnectedStores(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stores.close()

    @property
    def writable(self) -> bool:
        """Whether it was opened to be written too: there is room, on a disk that can be."""
        return self._stores.writable

    def is_replaced(self) -> bool:
        """Whether its catalog is no longer the file that was opened: it is to be opened anew."""
        return self._stores.is_replaced()

    @property
    def settings(self) -> Settings:
        return self._stores.settings

    # Adding

    def add(
        self, paths: Sequence[str | Path], progress: Progress = SILENT, *,
        doubtful: bool = True,
    ) -> AddReport:  # fmt: skip
        """Add files and folders of PDFs; also finishes what was left unfinished.

        Where `doubtful` is false, what ended its process again and again is left.
        Each book is visible as soon as it is whole. A service that is not there ends the work
        (`stopped` in the report) and the next call goes on. Raises KeyboardInterrupt after taking
        back what was not begun.
        """
        found = find_books(paths)
        refused = [
            Outcome(path, "failed", None, error.message, error.hint)
            for path, error in found.unusable
        ]
        for outcome in refused:
            progress.end(outcome)
        with self._working(progress, GO_ON):
            self._stores.catalog.queue(found.files)
            try:
                report = finish_jobs(self._stores, progress, doubtful=doubtful)
            except KeyboardInterrupt:
                self._stores.catalog.end_all_jobs("add")
                with self._stores.writing(progress.wait):
                    self._stores.sweep_leftovers()
                raise
        return AddReport((*refused, *report.outcomes), report.stopped)

    def unfinished(self) -> int:
        """How many books a crash left unfinished: nobody works on them, nothing hinders them."""
        if is_locked(self._stores.paths.worker_lock):
            return 0
        return sum(not job.waiting for job in self._stores.catalog.jobs())

    def waiting(self) -> tuple[int, str]:
        """How many books wait for a service, and what was wrong with it."""
        jobs = [job for job in self._stores.catalog.jobs() if job.waiting]
        return len(jobs), jobs[0].waiting if jobs else ""

    def under_way(self) -> list[Arrival]:
        """The files on their way in, each with how far it is."""
        return under_way(self._stores)

    def doubtful(self) -> list[Path]:
        """The files on their way in that ended their process again and again."""
        _, last = parted(self._stores.catalog.jobs())
        return [Path(job.path) for job in last]

    def finish(self, progress: Progress = SILENT, *, doubtful: bool = True) -> AddReport:
        """Finish the books that a crash left unfinished; KeyboardInterrupt keeps them."""
        with self._working(progress, GO_ON):
            return finish_jobs(self._stores, progress, doubtful=doubtful)

    def plan(self, paths: Sequence[str | Path], progress: Progress = SILENT) -> list[Plan]:
        """What adding the paths would take; reads the files and changes nothing."""
        found = find_books(paths)
        plans = [Plan(path, reason=e.message, hint=e.hint) for path, e in found.unusable]
        for number, path in enumerate(found.files, start=1):
            progress.begin(path.name, number, len(found.files))
            plan = plan_file(self._stores, path, path.name, progress)
            plans.append(replace(plan, file=str(path)) if plan.reason else plan)
        return plans

    def plan_file(self, path: Path, name: str) -> Plan:
        """What adding the file at `path` would take that is known by `name`."""
        return plan_file(self._stores, path, name, SILENT)

    # Books

    def books(self) -> list[Book]:
        """All books, oldest first, each with its problems."""
        space = self._stores.space() if self.settings.embedding.enabled else None
        shelf = self._stores.catalog.books(str(space) if space else "")
        return told_apart(shelf_with_scans(self._stores.catalog, self._stores.embeddings, shelf))

    def find_book(self, reference: str) -> Book:
        """The book that an id, the start of one, or a file name means; InputError otherwise."""
        hint = "`bookbrain books` lists the ids."
        return pick(self._stores.catalog.books(), reference, hint, edition_of)

    def open_book(self, book_id: str) -> OpenBook:
        """A book to read, by its whole id; NotFoundError when it is not in the library."""
        return open_book(self._stores, book_id)

    def rename(self, reference: str, title: str) -> Book:
        """Give a book another title; InputError for one that cannot be.

        One transaction of its own: nobody who writes to the library is waited for.
        """
        return rename(self._stores, self.find_book(reference), title)

    def remove(
        self, book_id: str, progress: Progress = SILENT,
        first: Callable[[Book], object] = lambda book: None, seconds: float | None = None,
    ) -> Book:  # fmt: skip
        """Remove a book, its file and its vectors; its embeddings are kept, they were paid for.

        `first` is called before, when nobody else can write to the library. BusyError when somebody
        else does for so many `seconds`.
        """
        with (
            storage_errors(DELETE_OTHERS),
            self._stores.writing(progress.wait, freeing=True, seconds=seconds),
        ):
            book = self.find_book(book_id)
            first(book)
            maintenance.remove_book(self._stores, book)
        return book

    # Searching

    def load(self, on_book: Callable[[], object]) -> None:
        """Open the keyword index. A release that counts otherwise makes it anew, once; `on_book`
        hears of each book: that takes minutes for a thousand."""
        self._stores.keywords(on_book)
        with suppress(BusyError, OSError, sqlite3.Error):  # the next writer does it otherwise
            self._stores.keep_identity_if_idle()

    def search(
        self, query: str, *, k: int = 10, mode: Mode = "hybrid",
        books: Sequence[str] | None = None, weight: float | None = None,
    ) -> SearchResult:  # fmt: skip
        """The best `k` pages for `query`, in all books or in those that `books` names.

        `weight` is what meaning counts against keywords, 0 to 1; None for what the settings say, or
        else the exam of the model.
        """
        ids = [self.find_book(name).id for name in books] if books else None
        return retrieval.search(self._stores, query, k=k, mode=mode, books=ids, weight=weight)

    def usual_weight(self) -> float:
        """What meaning counts against keywords at most where nobody says otherwise, 0 to 1."""
        if self.settings.vector_weight is not None:
            return self.settings.vector_weight
        marks = self.marks()
        return max(marks.english.weight, marks.korean.weight) if marks else UNKNOWN

    def similar(self, book: str, page: int, k: int = 10) -> SearchResult:
        """The best `k` pages like this one, its neighbours left out; costs nothing."""
        return similar(self._stores, self.find_book(book).id, page, k)

    def ask(
        self,
        question: str,
        *,
        books: Sequence[str] | None = None,
        wanted: Callable[[], bool] = lambda: True,
        earlier: Sequence["Exchange"] = (),
    ) -> Generator["Event", None, None]:
        """Answer a question out of all books, or those that `books` names, while it is `wanted`;
        the turns that it follows are `earlier`.

        The events, and what is raised, are those of `answers.answer.answer`.
        """
        from bookbrain.answers.answer import answer  # noqa: PLC0415  (loads slowly)

        ids = [self.find_book(name).id for name in books] if books else None
        return answer(self._stores, question, ids, wanted, earlier)

    def silent(self) -> str:
        """Who does not answer searches by meaning, which are set up; "" where all do, or none are.

        Our own Chroma server counts as there: it starts when it is needed. Nothing is embedded.
        """
        return self._stores.semantics.silent() if self.settings.embedding.enabled else ""

    def marks(self) -> Marks | None:
        """How the model of the settings did in its exam; None where it has not taken it."""
        space = self._stores.space() if self.settings.embedding.enabled else None
        return self._stores.semantics.marks(space) if space else None

    def evaluate(
        self, golden: Sequence[GoldenQuery], *, k: int = 5, mode: Mode = "hybrid",
        on_query: Callable[[int, int], None] = lambda done, total: None,
    ) -> Evaluation:  # fmt: skip
        """Measure search on a golden set; `on_query` hears of each query that is done."""
        done = 0

        def ask(query: str, count: int) -> SearchResult:
            nonlocal done
            result = self.search(query, k=count, mode=mode)
            done += 1
            on_query(done, len(golden))
            return result

        self.search("준비 ready", k=1, mode=mode)  # what loads once is not timed
        return evaluate(golden, ask, k)

    def tune(self, golden: Sequence[GoldenQuery], *, k: int = 5) -> Tuning:
        """Measure hybrid search on a golden set with each weight of meaning."""
        return tune(
            golden, lambda query, count, weight: self.search(query, k=count, weight=weight), k
        )

    # Health

    def check_search(self) -> float:
        """The ms of a real search; raises BookBrainError when it does not find what is there."""
        return findings.check_search(self._stores)

    def check_chroma(self) -> int:
        """How many vectors Chroma holds; raises UnavailableError where it fails or lacks some."""
        return findings.check_chroma(self._stores)

    def wake_chroma(self) -> None:
        """Have Chroma load its index, and wait until it has; raises UnavailableError where it
        fails. After its start that takes seconds, longer than a search waits for it."""
        findings.wake_chroma(self._stores)

    def check_files(self) -> list[Check]:
        """What is wrong with the files of the books, at a glance: nothing is read."""
        return findings.check_files(self._stores)

    def unembedded(self) -> int:
        """How many books search by meaning does not see yet."""
        return findings.unembedded(self._stores)

    def check_endpoint(self) -> None:
        """Ask the embedding endpoint, for nothing that costs; raises BookBrainError."""
        self._stores.semantics.check_endpoint()

    # Derived stores

    def rebuild(self, progress: Progress = SILENT) -> None:
        """Make every derived store again, without a call to the embedding endpoint."""
        with self._alone(progress):
            maintenance.rebuild(self._stores, progress)

    def plan_embedding(self) -> list[Plan]:
        """What embedding the books that the configured model lacks would take."""
        return maintenance.plan_embedding(self._stores)

    def embed(self, progress: Progress = SILENT) -> list[Outcome]:
        """Embed the books that the configured model lacks."""
        with self._working(progress):
            return maintenance.embed(self._stores, progress)

    def exam_tokens(self) -> int:
        """What the exam of the configured model, or what is left of it, would take; 0 where it is
        done, or there is no model."""
        return maintenance.exam_tokens(self._stores)

    def take_exam(self, progress: Progress = SILENT) -> TakenExam:
        """Have the configured model take its exam, or what is left of it."""
        with self._working(progress):
            return maintenance.take_exam(self._stores, progress)

    # Models on this machine

    def plan_local_model(
        self, name: str | None, folder: Path | None, digests: Collection[str]
    ) -> "ModelPlan":
        """How the model called `name` would come into the library, as `plan_model`."""
        from bookbrain.models.model_folder import plan_model  # noqa: PLC0415  (loads slowly)

        with storage_errors():
            return plan_model(self.settings.home, self.settings.embedding, name, folder, digests)

    def install_local_model(
        self, plan: "ModelPlan", on_bytes: Callable[[int, int], None]
    ) -> Settings:
        """Bring it in and try it, as `install_model`; the settings with it. It is not kept yet."""
        from bookbrain.models.model_folder import install_model  # noqa: PLC0415

        refuse_in_upgrade(self.settings.home)
        embedding = self.settings.embedding
        with storage_errors():
            found = install_model(self.settings.home, plan, embedding, on_bytes)
        return replace(self.settings, embedding=replace(embedding, model=found.setting))

    def local_model(self) -> "InstalledModel":
        """The one of the settings; raises BookBrainError where it is not there, or not whole."""
        from bookbrain.models.open_models import installed  # noqa: PLC0415

        return installed(self.settings.home, self.settings.embedding.model)

    def keep_local_model(self, setting: str | None) -> bool:
        """Have this local model embed from now on; None: the service that the settings name.

        Whether that is a change."""
        from bookbrain.models.model_folder import choose_model  # noqa: PLC0415

        refuse_in_upgrade(self.settings.home)
        with storage_errors():
            return choose_model(self.settings.home, setting)

    # Text recognition

    def recognition(self) -> RecognitionState:
        """How far text recognition is with the pages that cannot be searched as they are."""
        return look_at_recognition(self._stores)

    @contextmanager
    def vision(self, *, wanted: bool = True) -> Iterator["VisionEngine | None"]:
        """The engine that asks a model, where the settings want that, for `plan_recognition` and
        `recognise_by`; None for one that is not `wanted`.

        Only who knows what it costs has it read; nothing does so by itself. Raises ConfigError
        without a key, UnavailableError without tesseract, by which it is checked.
        """
        if self.settings.ocr != "vision" or not wanted:
            yield None
            return
        from bookbrain.models.vision_api import VisionModel  # noqa: PLC0415  (loads slowly)
        from bookbrain.ocr.vision import VisionEngine  # noqa: PLC0415

        tesseract = find_engine(self.settings)
        with closing(VisionModel(self.settings.embedding, self.settings.vision)) as model:
            yield VisionEngine(model, tesseract)

    def plan_recognition(
        self, *, redo: str = "", pages: Iterable[int] = (), book: str = "",
        engine: OcrEngine | None = None,
    ) -> list[RecognitionPlan]:  # fmt: skip
        """What text recognition is to read, as `recognise` would; no engine is needed."""
        with suppress(UnavailableError, ConfigError):
            engine = engine or find_engine(self.settings)
        return plan_recognition(self._stores, engine, self._wish(redo, pages, book))

    def recognise(
        self, on_page: OnPage = lambda standing: None, *, redo: str = "",
        pages: Iterable[int] = (), book: str = "", engine: OcrEngine | None = None,
        patient: bool = False,
    ) -> RecognitionReport:  # fmt: skip
        """Read the pages that cannot be searched as they are from their pictures, or those `pages`
        of them, or those of one `book`, and have them found; `on_page` hears of each that is done.

        Of the book `redo`, by its id, those that were read are read again. Nobody who adds or
        searches waits for it. Raises UnavailableError where the engine of the settings is not here,
        ConfigError where there is none, and BusyError where another one reads already, which a
        `patient` one waits for.
        """
        wish = self._wish(redo, pages, book)
        engine = engine or find_engine(self.settings)
        with storage_errors():
            self._stores.open_to_write()
            return recognise(self._stores, engine, wish, on_page, patient=patient)

    def recognise_by(
        self, engine: "VisionEngine", most: int, on_page: OnPage = lambda standing: None, *,
        redo: str = "", pages: Iterable[int] = (),
    ) -> RecognitionReport:  # fmt: skip
        """The same by an engine that costs money: `most` pages, which somebody agreed to pay for.

        What comes meanwhile is for the next time.
        """
        wish = replace(self._wish(redo, pages, ""), most=most)
        with storage_errors():
            self._stores.open_to_write()
            report = recognise(self._stores, engine, wish, on_page)
        return replace(report, tokens=engine.reader.tokens, dollars=engine.reader.dollars)

    def _wish(self, redo: str, pages: Iterable[int], book: str) -> Wish:
        return Wish(self.find_book(redo).id if redo else "", frozenset(pages), book)

    # Backups

    def snapshot(self, folder: Path, *, books: bool, on_copied: OnCopied) -> Snapshot:
        """Put the library of this moment into the new `folder`, which is in the library's own."""
        with storage_errors():
            return take_snapshot(self._stores, folder, books=books, on_copied=on_copied)

    def try_out(self, expected: Expected, progress: Progress) -> int:
        """Make what an archive does not hold, and see whether the library works.

        Asks no embedding endpoint. Returns how many queries were asked; raises BookBrainError.
        """
        with self._alone(progress):
            replacement.index_copies(self._stores)
            maintenance.rebuild_vectors(self._stores, progress)
            return prove(self._stores, expected)

    def take_over(self, home: Path, progress: Progress, only: str | None = None) -> None:
        """Make the books of the library in `home` the books of this one, or take over one of them.

        Killed at any instant it leaves the old books or the new ones; whatever it raises, nothing
        was changed, or all was put back.
        """
        hint = "Make room and run this again: nothing was changed."
        other = Stores(replace(self.settings, home=home))
        with closing(other), self._alone(progress, hint):
            if not only:
                replacement.index_copies(other)
            replacement.replace_books(self._stores, other, only, progress)

    @contextmanager
    def _working(self, progress: Progress, hint: str = AGAIN) -> Iterator[None]:
        with storage_errors(hint), self._stores.working(progress.wait):
            yield

    @contextmanager
    def _alone(self, progress: Progress, hint: str = AGAIN) -> Iterator[None]:
        """Nobody else works or writes."""
        with self._working(progress, hint), self._stores.writing(progress.wait):
            yield
