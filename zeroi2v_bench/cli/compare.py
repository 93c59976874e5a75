"""`zeroi2v-bench compare`: two runs, or two methods over their seeds, on the same clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zeroi2v_bench.cli.report import read_records, results_option
from zeroi2v_bench.reports.intervals import mean
from zeroi2v_bench.reports.pairing import Pair, by_setting, compare_pair, over_seeds, pair_up
from zeroi2v_bench.reports.predictions import find_runs
from zeroi2v_bench.reports.tables import markdown, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.records import RunRecord

TITLES = (
    "seed",
    "A top-1 (%)",
    "B top-1 (%)",
    "A - B (points)",
    "95 % interval",
    "only A right",
    "only B right",
    "clips",
    "McNemar p",
)


@click.command()
@click.argument("a")
@click.argument("b")
@results_option
@click.option("--protocol", help="Only runs of this protocol.")
def compare_command(a: str, b: str, results: tuple[Path, ...], protocol: str | None) -> None:
    """Tell A from B clip by clip: the paired difference with its interval and an exact test.

    A and B are run ids (their beginning suffices), record files, or methods: then all their seeds
    are paired. Runs whose split fingerprints differ are refused.
    """
    records = [r for r in read_records(results) if protocol in (None, r.protocol)]
    pairs = [
        compare_pair(first, second, results)
        for first, second in pair_up(find_runs(a, records), find_runs(b, records))
    ]
    for like in by_setting(pairs):
        for line in _heading(like[0]):
            click.echo(plain(line))
        click.echo("\n" + markdown(TITLES, [_row(pair) for pair in like], [True] * len(TITLES)))
        click.echo(_verdict(like))


def _heading(pair: Pair) -> list[str]:
    """What the pairs of a table are of: the protocol once, where A and B share it."""
    protocols = list(dict.fromkeys(_protocol(run) for run in (pair.a, pair.b)))
    return [" against ".join(protocols), f"A: {_model(pair.a)}", f"B: {_model(pair.b)}"]


def _protocol(run: RunRecord) -> str:
    return f"{run.protocol} v{run.protocol_version} #{run.protocol_hash[:8]}"


def _model(run: RunRecord) -> str:
    weights = ", random weights" if run.backbone.random_weights else ""
    return f"{run.method}, {run.backbone.spec}{weights}"


def _row(pair: Pair) -> list[str]:
    found = pair.difference
    share_a = 100 * (found.both + found.only_a) / found.num_clips
    share_b = 100 * (found.both + found.only_b) / found.num_clips
    seeds = dict.fromkeys((pair.a.seed, pair.b.seed))
    return [
        " against ".join(map(str, seeds)),
        f"{share_a:.1f}",
        f"{share_b:.1f}",
        f"{found.points:+.1f}",
        f"{found.low:+.1f} to {found.high:+.1f}",
        str(found.only_a),
        str(found.only_b),
        str(found.num_clips),
        f"{found.p_value:.2g}",
    ]


def _verdict(pairs: Sequence[Pair]) -> str:
    interval = over_seeds(pairs)
    if interval is None:
        return "One pair: the interval is over test clips and says nothing of another seed.\n"
    points = mean([pair.difference.points for pair in pairs])
    return (
        f"{len(pairs)} seeds: A - B = {points:+.1f} points, 95 % t-interval "
        f"{interval[0]:+.1f} to {interval[1]:+.1f}.\n"
    )
