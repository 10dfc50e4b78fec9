"""`bookbrain eval`."""

from pathlib import Path
from typing import Any

import click

from bookbrain.cli.command import Command, mode_option, open_library
from bookbrain.cli.terminal import note, print_json, say
from bookbrain.messages import fill
from bookbrain.model import Mode, to_json
from bookbrain.search.evaluation import Evaluation, Measure, load_golden


@click.command("eval", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-k", "count", type=click.IntRange(1, 100), default=5, show_default=True,
              help="Count a query as hit when one of the first k pages answers it.")  # fmt: skip
@mode_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def evaluate(file: Path, count: int, mode: Mode, as_json: bool) -> None:
    """Measure search on FILE, a golden set: JSON lines with id, query, book and pages."""
    golden = load_golden(file)  # before the library: a file of root's may be for root only
    with open_library() as library:
        result = library.evaluate(golden, k=count, mode=mode)
    if result.degraded:
        note("Note: {reason}", reason=result.degraded)
    if as_json:
        print_json(to_json(_evaluation_json(result)))
        return
    for name, measure in _measures(result).items():
        say(
            "{name:<7} {value:.3f}   (95 %: {low:.3f} … {high:.3f}, {queries} queries)",
            name=name,
            value=measure.value,
            low=measure.low,
            high=measure.high,
            queries=len(result.ids),
        )
    say("a query takes {half} ms (p50), {most} ms (p95)", half=result.p50_ms, most=result.p95_ms)
    missed = [i for i, r in zip(result.ids, result.ranks, strict=True) if not r or r > count]
    say(fill("missed: {ids}", ids=" ".join(missed)) if missed else "missed: none")


def _measures(result: Evaluation) -> dict[str, Measure]:
    return {
        "hit@1": result.hit_at_1,
        f"hit@{result.k}": result.hit_at_k,
        "mrr@10": result.mrr_at_10,
    }


def _evaluation_json(result: Evaluation) -> dict[str, Any]:
    measures = {
        n: {"value": m.value, "ci95": [m.low, m.high]} for n, m in _measures(result).items()
    }
    queries = [{"id": i, "rank": r} for i, r in zip(result.ids, result.ranks, strict=True)]
    times = {"p50_ms": result.p50_ms, "p95_ms": result.p95_ms}
    return {"n": len(result.ids), **measures, **times, "queries": queries}
