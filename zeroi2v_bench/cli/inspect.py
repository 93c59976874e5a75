"""``zeroi2v-bench list`` and ``zeroi2v-bench validate``: both answer at once, without torch."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zeroi2v_bench import registry
from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.errors import BenchError, ProtocolError
from zeroi2v_bench.methods.base import parse_params
from zeroi2v_bench.protocol import load_protocol, protocol_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.protocol import Protocol

BACKBONES = {"digits": "digits", "openclip": "openclip:MODEL/WEIGHTS", "timm": "timm:MODEL"}
"""How a backbone of each library is named."""
HEADER = ("protocol", "dataset", "split", "shots", "frames", "crops x clips", "recipe")
MIN_SEEDS = 3
"""Few-shot numbers vary with the draw; fewer seeds show nothing of that."""

protocol_dir_option = click.option(
    "--protocol-dir",
    "protocol_dirs",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    multiple=True,
    help="More protocols; may repeat.",
)


@click.command()
@protocol_dir_option
def list_command(protocol_dirs: tuple[Path, ...]) -> None:
    """Show every protocol, dataset, method and backbone there is."""
    rows: list[tuple[str, ...]] = [HEADER]
    broken = []
    for name in sorted(protocol_names(protocol_dirs), key=_by_number):
        try:
            rows.append(_protocol_row(load_protocol(name, protocol_dirs)))
        except BenchError as error:
            broken.append(str(error))
    _echo_table(rows)
    click.echo()
    datasets = [("dataset", "classes", "splits")]
    for name in registry.names("datasets"):
        dataset = find_dataset(name)
        datasets.append((name, str(dataset.NUM_CLASSES), ", ".join(dataset.SPLITS)))
    _echo_table(datasets)
    libraries = [name.removesuffix("_vit") for name in registry.names("backbones")]
    click.echo(f"\nmethods: {', '.join(registry.names('methods'))}")
    click.echo(f"backbones: {', '.join(BACKBONES.get(name, name) for name in libraries)}")
    _fail_on(broken)


def _by_number(name: str) -> list[str]:
    """Order 2, 4, 8, 16, not 16, 2, 4, 8."""
    return [part.rjust(6, "0") if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _protocol_row(protocol: Protocol) -> tuple[str, ...]:
    sampling, views = protocol.sampling, protocol.views
    return (
        protocol.name,
        protocol.dataset,
        protocol.splits.name,
        str(protocol.splits.shots or "all"),
        f"{sampling.num_frames} {sampling.kind}"
        + (f" / {sampling.stride}" if sampling.kind == "dense" else ""),
        f"{views.crops} x {views.clips}",
        protocol.recipe,
    )


def _echo_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _fail_on(problems: Sequence[str]) -> None:
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if problems:
        sys.exit(1)


@click.command()
@click.argument("names", nargs=-1)
@protocol_dir_option
def validate_command(names: tuple[str, ...], protocol_dirs: tuple[Path, ...]) -> None:
    """Check protocols: all of them, or the NAMES given (or paths of their files)."""
    problems = []
    for name in names or protocol_names(protocol_dirs):
        try:
            protocol = load_protocol(name, protocol_dirs)
            check_protocol(protocol)
        except BenchError as error:
            problems.append(str(error))
        else:
            click.echo(f"ok  {protocol.name}  v{protocol.version}  {protocol.hash[:12]}")
    _fail_on(problems)


def check_protocol(protocol: Protocol) -> None:
    """What parsing alone cannot see: names that must exist, parameters of methods, seeds.

    Raises:
        BenchError: The first thing that is wrong.
    """
    dataset, where = find_dataset(protocol.dataset), protocol.name
    if protocol.splits.name not in dataset.SPLITS:
        legal = ", ".join(dataset.SPLITS)
        raise ProtocolError(f"{where}: splits.name={protocol.splits.name!r}; legal: {legal}")
    if protocol.splits.shots is not None and len(set(protocol.seeds)) < MIN_SEEDS:
        raise ProtocolError(
            f"{where}: seeds={list(protocol.seeds)}; few-shot needs at least {MIN_SEEDS}"
        )
    libraries = {name.removesuffix("_vit") for name in registry.names("backbones")}
    for label, spec in protocol.methods.items():
        if (library := protocol.backbone_of(label).partition(":")[0]) not in libraries:
            raise ProtocolError(f"{where}: no backbone library {library!r}; {sorted(libraries)}")
        try:
            parse_params(protocol.module_of(label), spec.params)
        except BenchError as error:
            raise ProtocolError(f"{where}: methods.{label}: {error}") from error
