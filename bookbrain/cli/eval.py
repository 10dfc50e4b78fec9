"""`bookbrain eval`."""

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from bookbrain.cli.command import Command, mode_option, open_library
from bookbrain.cli.terminal import note, print_json, say, shown, shown_pages
from bookbrain.errors import UnavailableError
from bookbrain.messages import fill, message_of
from bookbrain.model import Mode, Standing, to_json
from bookbrain.reports import money
from bookbrain.search.evaluation import Evaluation, Measure, Tuning, load_golden
from bookbrain.search.exam import Marks

if TYPE_CHECKING:
    from bookbrain.answers.scorecard import Marked, Scorecard


@click.command("eval", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-k", "count", type=click.IntRange(1, 100), default=5, show_default=True,
              help="Count a query as hit when one of the first k pages answers it.")  # fmt: skip
@mode_option
@click.option(
    "--tune",
    "tuned",
    is_flag=True,
    help="Find what meaning should count on FILE, in place of the model's exam.",
)
@click.option("--answers", is_flag=True,
              help="Measure the answers of `ask` on FILE in place of search.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def evaluate(file: Path, count: int, mode: Mode, tuned: bool, answers: bool, as_json: bool) -> None:
    """Measure search on FILE, a golden set: JSON lines with id, query, book and pages.

    With --answers each line has a question, and what must be quoted (of each book one of these
    pages), or that the books have no answer; it may have facts that must be said. Each question is
    paid for.
    """
    if answers and tuned:
        raise click.UsageError(shown("Choose one of --tune and --answers."))
    if answers:
        _evaluate_answers(file, as_json)
        return
    golden = load_golden(file)  # before the library: a file of root's may be for root only
    with open_library() as library:
        if tuned:
            _show_tuning(library.tune(golden, k=count), as_json)
            return
        result = library.evaluate(golden, k=count, mode=mode)
        marks = library.marks() if mode != "keyword" else None
        model = library.settings.embedding.model
    if result.degraded:
        note("Note: {reason}", reason=result.degraded)
    if as_json:
        print_json(to_json(_evaluation_json(result, marks)))
        return
    _show_measures(result)
    say("a query takes {half} ms (p50), {most} ms (p95)", half=result.p50_ms, most=result.p95_ms)
    missed = [i for i, r in zip(result.ids, result.ranks, strict=True) if not r or r > count]
    say(fill("missed: {ids}", ids=" ".join(missed)) if missed else "missed: none")
    if marks:
        say(marks.note(model))


def _evaluate_answers(file: Path, as_json: bool) -> None:
    from bookbrain.answers.scorecard import load_questions, mark_answers  # noqa: PLC0415  (slow)

    questions = load_questions(file)
    with open_library() as library, shown_pages() as tell:
        started, done = perf_counter(), 0

        def on_marked(marked: "Marked") -> None:
            nonlocal done
            done += 1
            left = (perf_counter() - started) / done * (len(questions) - done)
            tell(Standing(marked.known.id, done, len(questions), round(left)))

        card = mark_answers(questions, library.ask, on_marked)
    if as_json:
        print_json(to_json(_scorecard_json(card)))
    else:
        _show_scorecard(card)


def _show_scorecard(card: "Scorecard") -> None:
    say("supported claims: {count}", count=card.supported_claims)
    say(
        "struck: quotations {quotes}, claims left out {claims}",
        quotes=card.struck_quotes, claims=card.left_out,
    )  # fmt: skip
    say("places quoted: {had} of {all}", had=card.quoted[0], all=card.quoted[1])
    say("facts said: {had} of {all}", had=card.facts[0], all=card.facts[1])
    say(
        "refusals: right {right}, wrong {wrong}; answered where the books do not say: {missed}",
        right=card.refusals(right=True), wrong=card.refusals(right=False),
        missed=card.answered_wrongly,
    )  # fmt: skip
    tokens = f"{card.tokens:,}"
    if card.dollars is None:
        say("{tokens} tokens", tokens=tokens)
    else:
        say("{tokens} tokens, {cost}", tokens=tokens, cost=money(card.dollars))
    half, most = card.seconds
    say("an answer takes {half:.1f} s (p50), {most:.1f} s (p95)", half=half, most=most)
    for one in card.marked:
        if one.fault:
            say("failed: {id}: {reason}", id=one.known.id, reason=message_of(one.fault))
    wrong = [one.known.id for one in card.marked if not one.is_right]
    say(fill("missed: {ids}", ids=" ".join(wrong)) if wrong else "missed: none")


def _scorecard_json(card: "Scorecard") -> dict[str, Any]:
    return {
        "n": len(card.marked),
        "right": sum(one.is_right for one in card.marked),
        "supported_claims": card.supported_claims,
        "struck_quotes": card.struck_quotes,
        "left_out": card.left_out,
        "quoted": dict(zip(("had", "of"), card.quoted, strict=True)),
        "facts": dict(zip(("had", "of"), card.facts, strict=True)),
        "refusals": {
            "right": card.refusals(right=True), "wrong": card.refusals(right=False),
            "missed": card.answered_wrongly,
        },
        "failed": card.failed,
        "tokens": card.tokens,
        "dollars": card.dollars,
        "seconds": dict(zip(("p50", "p95"), card.seconds, strict=True)),
        "questions": [_marked_json(one) for one in card.marked],
    }  # fmt: skip


def _marked_json(one: "Marked") -> dict[str, Any]:
    answer = one.answer
    return {
        "id": one.known.id, "right": one.is_right, "refused": one.is_refused,
        "supported_claims": len(answer.statements), "struck_quotes": answer.struck_quotes,
        "left_out": answer.left_out, "missing": one.missing,
        "unquoted": [[{"book": b, "page": p} for b, p in sorted(of)] for of in one.unquoted],
        "tokens": answer.tokens, "dollars": answer.dollars, "seconds": one.seconds,
        "fault": one.fault,
    }  # fmt: skip


def _show_measures(result: Evaluation) -> None:
    for name, measure in _measures(result).items():
        say(
            "{name:<7} {value:.3f}   (95 %: {low:.3f} … {high:.3f}, {queries} queries)",
            name=name,
            value=measure.value,
            low=measure.low,
            high=measure.high,
            queries=len(result.ids),
        )


def _show_tuning(tuning: Tuning, as_json: bool) -> None:
    """Each weight, what the best one gains, and the line that sets it."""
    best = tuning.tried[tuning.best]
    if best.degraded:
        raise UnavailableError(best.degraded)
    if as_json:
        print_json(to_json(_tuning_json(tuning)))
        return
    for weight, result in tuning.tried.items():
        measures = "  ".join(f"{name} {m.value:.3f}" for name, m in _measures(result).items())
        click.echo(f"{weight:.1f}  {measures}")
    gain, (*_, measure) = tuning.gain, _measures(best)
    say(
        "Meaning at {weight:.1f} gains {gain:+.3f} of {measure} (95 %: {low:+.3f} … {high:+.3f}).",
        weight=tuning.best, measure=measure, gain=gain.value, low=gain.low, high=gain.high,
    )  # fmt: skip
    if gain.low <= 0:
        say("That may be chance: more queries would tell.")
    say(
        "To set it in place of the exam, put BOOKBRAIN_VECTOR_WEIGHT={weight:.1f} into "
        "bookbrain.env.",
        weight=tuning.best,
    )


def _tuning_json(tuning: Tuning) -> dict[str, Any]:
    gain = tuning.gain
    return {
        "weight": tuning.best,
        "gain": {"value": gain.value, "ci95": [gain.low, gain.high]},
        "tried": [
            {"weight": weight, **{n: m.value for n, m in _measures(result).items()}}
            for weight, result in tuning.tried.items()
        ],
    }


def _measures(result: Evaluation) -> dict[str, Measure]:
    return {
        "hit@1": result.hit_at_1,
        f"hit@{result.k}": result.hit_at_k,
        "mrr@10": result.mrr_at_10,
    }


def _evaluation_json(result: Evaluation, marks: Marks | None) -> dict[str, Any]:
    measures = {
        n: {"value": m.value, "ci95": [m.low, m.high]} for n, m in _measures(result).items()
    }
    queries = [{"id": i, "rank": r} for i, r in zip(result.ids, result.ranks, strict=True)]
    times = {"p50_ms": result.p50_ms, "p95_ms": result.p95_ms}
    exam = {"exam": _marks_json(marks)} if marks else {}
    return {"n": len(result.ids), **measures, **times, **exam, "queries": queries}


def _marks_json(marks: Marks) -> dict[str, Any]:
    kinds = {"english": marks.english, "korean": marks.korean, "across": marks.across}
    return {
        kind: {
            "first": round(mark.first, 4),
            "margin": round(mark.margin, 4),
            "weight": round(mark.weight, 4),
        }
        for kind, mark in kinds.items()
    }
