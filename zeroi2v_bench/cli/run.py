"""``zeroi2v-bench run``."""

from __future__ import annotations

import fnmatch
import json
import os
import sys
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zeroi2v_bench.errors import CheckpointError, ProtocolError, UnknownNameError
from zeroi2v_bench.protocol import load_protocol, override, protocol_names
from zeroi2v_bench.strict import parse_yaml
from zeroi2v_bench.training.execution import Execution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.records import RunRecord
    from zeroi2v_bench.sweep import RunSpec

DEFAULT_PROTOCOL = "full_digits"
DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


def parse_changes(
    texts: tuple[str, ...],
    option: str = "--set",
    form: str = "FIELD=VALUE, e.g. sampling.num_frames=8",
) -> dict[str, Any]:
    """``key=value`` texts as a mapping; values are read as YAML.

    Args:
        texts: As the user gave them.
        option: What they were given to, for messages.
        form: What that option expects, for messages.

    Raises:
        ProtocolError: A text without "=", or a value that is not YAML.
    """
    changes = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ProtocolError(f"{option} {text}: expected {form}")
        try:
            changes[key] = parse_yaml(value)
        except ValueError as error:
            raise ProtocolError(f"{option} {text}: the value is not YAML: {error}") from error
    return changes


@click.command()
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    help="Name, file or pattern such as 'fewshot_hmdb_*'; may repeat.  [full_digits]",
)
@click.option(
    "--method", "methods", multiple=True, help="A row of the protocol, or a method; may repeat."
)
@click.option(
    "--seed",
    "seeds",
    type=click.IntRange(min=0),
    multiple=True,
    help="May repeat.  [the protocol's first]",
)
@click.option("--backbone", help="digits, openclip:MODEL/WEIGHTS or timm:MODEL.  [the protocol's]")
@click.option(
    "--data-root", type=DIRECTORY, help="The dataset's folder.  [$ZEROI2V_BENCH_DATA_ROOT]"
)
@click.option("--results", type=DIRECTORY, default=Path("results/local"), show_default=True)
@click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change a protocol field."
)
@click.option(
    "--protocol-dir", "protocol_dirs", type=DIRECTORY, multiple=True, help="More protocols."
)
@click.option(
    "--random-weights", is_flag=True, help="Run on random weights, and say so everywhere."
)
@click.option("--checkpoint", type=FILE, help="Evaluate this trained model; nothing is trained.")
@click.option("--config", type=FILE, help="JSON of what a published checkpoint does not say.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes that read clips, per device.  [by cores; 0 for small files]",
)
@click.option(
    "--decoder",
    type=click.Choice(["pyav", "decord", "torchcodec"]),
    default="pyav",
    show_default=True,
    help="The last two seek, and refuse files on which that gives other frames.",
)
@click.option(
    "--cache",
    type=click.Choice(["ram", "disk", "off"]),
    default="ram",
    show_default=True,
    help="Where decoded frames are kept; what is on disk serves later runs too.",
)
@click.option("--cache-gb", type=click.FloatRange(min=0), help="[2 in RAM, 50 on disk]")
@click.option(
    "--micro-batch",
    type=click.IntRange(min=1),
    help="Most clips per device at once in training; gradients add up to the protocol's batch.",
)
@click.option("--compile", "compiled", is_flag=True, help="Train through torch.compile.")
@click.option("--channels-last", is_flag=True, help="Channels-last patch embedding (CUDA).")
@click.option("--save-minutes", type=click.FloatRange(min=0), default=5.0, show_default=True)
@click.option("--save-steps", type=click.IntRange(min=1), help="Save also after so many steps.")
@click.option("--tensorboard", is_flag=True, help="Log to TensorBoard beside the record.")
@click.option(
    "--launcher",
    type=click.Choice(["local", "submitit"]),
    default="local",
    show_default=True,
    help="submitit hands every run to SLURM as a job of its own, and waits.",
)
@click.option(
    "--slurm", multiple=True, metavar="NAME=VALUE", help="For submitit, e.g. gpus_per_node=1."
)
@click.option("--force", is_flag=True, help="Run again what is already recorded.")
def run_command(
    protocols: tuple[str, ...],
    methods: tuple[str, ...],
    seeds: tuple[int, ...],
    changes: tuple[str, ...],
    protocol_dirs: tuple[Path, ...],
    config: Path | None,
    launcher: str,
    slurm: tuple[str, ...],
    **options: Any,
) -> None:
    """Adapt, train, merge, verify, evaluate and record; then print the table.

    Without options: ZeroI2V and a linear probe on the embedded moving digits, with no download.
    The product of all protocols, methods and seeds is run; a run that is recorded is reported.
    """
    chosen = [
        override(load_protocol(name, protocol_dirs), parse_changes(changes))
        for name in match_protocols(protocols or (DEFAULT_PROTOCOL,), protocol_dirs)
    ]
    specs = specs_of(chosen, methods, seeds)
    if config is not None:
        options["config"] = read_config(config)
    execution = Execution(**{field.name: options.pop(field.name) for field in fields(Execution)})
    if launcher == "submitit":
        from zeroi2v_bench.launching import submit

        settings = parse_changes(slurm, "--slurm", "NAME=VALUE, e.g. gpus_per_node=1")
        records, failed = submit(specs, execution, slurm=settings, report=say, **options)
    else:
        records, failed = run_all(specs, execution, **options)
    if records:
        show_table(records)
    for line in failed:
        click.echo(f"error: {line}", err=True)
    if failed:
        sys.exit(1)


def match_protocols(texts: Sequence[str], extra_dirs: Sequence[Path]) -> list[str]:
    """Names and files as they are, patterns as the names that match, each once.

    Raises:
        UnknownNameError: A pattern that no protocol matches.
    """
    found: dict[str, None] = {}
    for text in texts:
        if not set("*?[") & set(text):
            found[text] = None
            continue
        names = protocol_names(extra_dirs)
        matching = fnmatch.filter(names, text)
        if not matching:
            raise UnknownNameError("protocol", text, names)
        found |= dict.fromkeys(matching)
    return list(found)


def specs_of(
    protocols: Sequence[Protocol], methods: Sequence[str], seeds: Sequence[int]
) -> list[RunSpec]:
    """The product; without methods or seeds, each protocol's own."""
    return [
        (protocol, method, seed)
        for protocol in protocols
        for method, seed in product(
            methods or protocol.default_methods or tuple(protocol.methods),
            seeds or protocol.seeds[:1],
        )
    ]


def say(line: str) -> None:
    """A line of progress on stderr; stdout is for the table."""
    click.echo(line, err=True)


def show_table(records: list[RunRecord]) -> None:
    """Print the records as a table."""
    from zeroi2v_bench.reports.tables import render, runs_table

    click.echo(render(runs_table(records), "markdown"))


def run_all(
    specs: list[RunSpec], execution: Execution, **options: Any
) -> tuple[list[RunRecord], list[str]]:
    """Do every run in the group of processes that torchrun started, if it did.

    Returns:
        The records, on the first process only, and a line for each run that failed.

    Raises:
        BenchError: The device cannot be used.
    """
    from zeroi2v_bench.distributed import is_first, joined_group
    from zeroi2v_bench.environment import gpu_is_idle, require_device
    from zeroi2v_bench.sweep import sweep

    grouped = execution.on_cuda and int(os.environ.get("WORLD_SIZE", "1")) > 1
    require_device(f"cuda:{os.environ['LOCAL_RANK']}" if grouped else execution.device)
    with joined_group(execution.device) as device:
        execution = replace(execution, device=device)
        if is_first():
            if gpu_is_idle(device):
                say("a GPU is here: --device cuda uses it")
            return sweep(specs, execution, report=say, **options)
        return [], sweep(specs, execution, **options)[1]


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        CheckpointError: Missing, or not a JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"--config {path}: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"--config {path}: expected a JSON object of keyword arguments")
    return config
