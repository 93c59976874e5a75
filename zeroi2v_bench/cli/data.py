"""``zeroi2v-bench data index | check | splits``."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zeroi2v_bench import registry
from zeroi2v_bench.cli.run import parse_changes
from zeroi2v_bench.data.splits import check_leaks, load_splits
from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.protocol import SplitSpec, load_protocol, override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zeroi2v_bench.types import Splits

DIRECTORY = click.Path(file_okay=False, path_type=Path)
SHOWN = 10
"""Names printed of each kind of problem, unless all are asked for."""

dataset_option = click.option(
    "--dataset", type=click.Choice(registry.names("datasets")), required=True
)
data_root_option = click.option(
    "--data-root", type=DIRECTORY, help="The dataset's folder.  [$ZEROI2V_BENCH_DATA_ROOT]"
)
results_option = click.option(
    "--results",
    type=DIRECTORY,
    default=Path("results/local"),
    show_default=True,
    help="The index lies in its subfolder `index`, never in the data root.",
)


@click.group()
def data_command() -> None:
    """Look at a dataset: scan it once, compare it with its lists, print the lists."""


@data_command.command()
@dataset_option
@data_root_option
@results_option
@click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count() or 1)
@click.option(
    "--limit", "limit_s", type=click.FloatRange(min=0, min_open=True), default=60.0,
    show_default=True, help="Seconds after which a clip is given up.",
)  # fmt: skip
def index(
    dataset: str, data_root: Path | None, results: Path, workers: int, limit_s: float
) -> None:
    """Decode every clip once: frame counts, sizes, codecs, verdicts, hashes.

    Runs, and `data check`, use what is found. A scan that was stopped goes on where it was.
    """
    from zeroi2v_bench.data.data_index import build_index, index_path

    with progress(f"scanning {dataset}") as advance:
        found = build_index(
            dataset, data_root, results, workers=workers, limit_s=limit_s, advance=advance
        )
    verdicts = [info.verdict for info in found.values()]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts), key=_ok_first))
    click.echo(f"{len(found)} clips: {counts}; {index_path(results, dataset, data_root)}")


def _ok_first(verdict: str) -> tuple[bool, str]:
    return verdict != "ok", verdict


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@data_command.command()
@dataset_option
@click.option("--split", help="One of the dataset's splits.  [the first]")
@data_root_option
@results_option
@click.option("--all", "show_all", is_flag=True, help=f"Print all names, not {SHOWN} of each kind.")
def check(
    dataset: str, split: str | None, data_root: Path | None, results: Path, show_all: bool
) -> None:
    """Compare a split with the files: missing, unreadable, damaged, extra.

    Fails if a clip of the split is missing or bad. Files that no split lists are extra.
    """
    splits, name = load_checked(dataset, split, data_root)
    click.echo(f"{dataset}, split {name}: {_summary(splits)}")
    official = find_dataset(dataset).COUNTS.get(name)
    if official and official != (len(splits.train), len(splits.test)):
        click.echo(f"NOT the official counts, {official[0]} and {official[1]}")
    found = compare(dataset, data_root, results, splits)
    for kind, paths in found.items():
        click.echo(f"{len(paths):>8} {kind}")
        for path in paths if show_all else paths[:SHOWN]:
            click.echo(f"         {path}")
        if len(paths) > SHOWN and not show_all:
            click.echo("         ... (--all prints them)")
    if found["not scanned"]:
        click.echo("run `zeroi2v-bench data index` with the same options to scan them")
    if any(found[kind] for kind in ("missing", "unreadable", "damaged")):
        sys.exit(1)


def load_checked(dataset: str, split: str | None, data_root: Path | None) -> tuple[Splits, str]:
    """The whole split of that name, or the dataset's first one, and its name."""
    module = find_dataset(dataset)
    if split is not None and split not in module.SPLITS:
        raise click.BadParameter(f"{split!r}; {dataset} has {', '.join(module.SPLITS)}")
    name = split or module.SPLITS[0]
    splits = module.load(data_root, SplitSpec(name=name))
    check_leaks(splits)
    return splits, name


def compare(
    dataset: str, data_root: Path | None, results: Path, splits: Splits
) -> dict[str, list[str]]:
    """Kind of problem to the paths that have it, with the reason; all kinds are there."""
    from zeroi2v_bench.data.data_index import load_index, media_of

    index = load_index(results, dataset, data_root)
    found: dict[str, list[str]] = {
        kind: [] for kind in ("missing", "unreadable", "damaged", "extra", "not scanned")
    }
    for clip in (*splits.train, *splits.test):
        info = index.get(clip.path)
        if info is None:
            kind = "not scanned" if Path(clip.path).exists() else "missing"
            found[kind].append(clip.path)
        elif info.verdict != "ok":
            kind = "damaged" if info.verdict == "damaged" else "unreadable"
            found[kind].append(f"{clip.path}  ({info.reason})")
    found["extra"] = sorted(media_of(dataset, data_root)[1])
    return found


def _summary(splits: Splits) -> str:
    held = f"{len(splits.holdout)} held-out, " if splits.holdout else ""
    return (
        f"{len(splits.train)} training, {held}{len(splits.test)} test clips of "
        f"{len(splits.class_names)} classes; lists {splits.fingerprint[:16]}, "
        f"class names {splits.class_names_hash[:16]}"
    )


@data_command.command()
@click.option("--protocol", "name", required=True, help="Name or file.")
@click.option(
    "--seed", "seeds", type=click.IntRange(0), multiple=True, help="May repeat.  [the protocol's]"
)
@data_root_option
@click.option("--set", "changes", multiple=True, metavar="FIELD=VALUE")
@click.option(
    "--print", "side", type=click.Choice(["train", "test", "holdout"]),
    help="Print this list of the first seed, as a list file.",
)  # fmt: skip
def splits(
    name: str,
    seeds: tuple[int, ...],
    data_root: Path | None,
    changes: tuple[str, ...],
    side: str | None,
) -> None:
    """Show the lists of a protocol by seed, with their fingerprints, or print one of them."""
    protocol = override(load_protocol(name), parse_changes(changes))
    for seed in seeds or protocol.seeds:
        chosen = load_splits(protocol, data_root, seed)
        click.echo(f"{protocol.name}, seed {seed}: {_summary(chosen)}", err=side is not None)
        if side is not None:
            click.echo("\n".join(f"{clip.id} {clip.label}" for clip in getattr(chosen, side)))
            return
