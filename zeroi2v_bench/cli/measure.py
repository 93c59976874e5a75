"""``zeroi2v-bench measure``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zeroi2v_bench.errors import BenchError
from zeroi2v_bench.strict import parse_yaml

METHODS = ("zeroi2v", "st_adapter", "aim")
GPU_BATCHES, CPU_BATCHES = (8, 256), (2, 2)
"""Fixed and largest batch, in videos, where none is given."""


@click.command()
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=METHODS,
    show_default=True,
    help="A method, or one with parameters: 'st_adapter {places: [attn, mlp]}'. May repeat.",
)
@click.option(
    "--backbone",
    "backbones",
    multiple=True,
    default=("digits",),
    show_default=True,
    help="digits, openclip:MODEL/WEIGHTS or timm:MODEL; may repeat.",
)
@click.option("--frames", "num_frames", type=click.IntRange(1), default=8, show_default=True)
@click.option("--crops", type=click.Choice([1, 3]), default=1, show_default=True)
@click.option("--clips", type=click.IntRange(1), default=3, show_default=True)
@click.option("--image-size", type=click.IntRange(1), default=224, show_default=True)
@click.option("--classes", "num_classes", type=click.IntRange(1), default=400, show_default=True)
@click.option("--counts-only", is_flag=True, help="Parameters and multiply-adds; no times.")
@click.option("--random-weights", is_flag=True, help="Initialise backbones; times are the same.")
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True
)
@click.option("--compile", "compiled", is_flag=True, help="Through torch.compile.")
@click.option("--threads", type=click.IntRange(1), help="Of PyTorch.  [as many as it takes]")
@click.option("--rounds", type=click.IntRange(6), default=9, show_default=True)
@click.option("--batch", type=click.IntRange(1), help="Videos in the fixed batch.  [CPU 2, GPU 8]")
@click.option(
    "--max-batch", type=click.IntRange(1), help="Cap of the largest batch.  [CPU 2, GPU 256]"
)
@click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Time the reading of this clip too.  [the network alone]",
)
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
)
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results/local"),
    show_default=True,
    help="Folder of records; this one goes into costs/ there.",
)
def measure_command(
    methods: tuple[str, ...],
    backbones: tuple[str, ...],
    counts_only: bool,
    random_weights: bool,
    fmt: str,
    results: Path,
    **options: Any,
) -> None:
    """Measure what methods cost, side by side in one process, beside the plain image model.

    Parameters and multiply-adds of ViT-B/16, with neither weights nor a GPU:

      zeroi2v-bench measure --counts-only --backbone openclip:ViT-B-16-quickgelu
    """
    from zeroi2v_bench.costs.cost_records import append_costs
    from zeroi2v_bench.costs.measuring import Case, measure
    from zeroi2v_bench.reports.cost_table import show_costs

    case = Case(**{name: options.pop(name) for name in Case.__slots__})
    record = measure(
        [parse_method(text) for text in methods],
        backbones,
        case=case,
        plan=None if counts_only else make_plan(**options),
        random_weights=random_weights,
        report=lambda line: click.echo(f"  {line}", err=True),
    )
    path = append_costs(record, results)
    click.echo(record.model_dump_json(indent=2) if fmt == "json" else show_costs(record))
    click.echo(f"recorded: {path}", err=True)


def parse_method(text: str) -> tuple[str, dict[str, Any]]:
    """A method and its parameters.

    >>> parse_method("st_adapter {places: [attn, mlp]}")
    ('st_adapter', {'places': ['attn', 'mlp']})

    Raises:
        BenchError: What follows the name is not a YAML mapping.
    """
    name, _, rest = text.partition(" ")
    try:
        params = parse_yaml(rest) if rest.strip() else {}
    except ValueError as error:
        raise BenchError(f"--method {text!r}: {error}") from error
    if not isinstance(params, dict):
        raise BenchError(f"--method {text!r}: expected NAME or NAME {{param: value, ...}}")
    return name, params


def make_plan(
    *, device: str, threads: int | None, batch: int | None, max_batch: int | None, **rest: Any
) -> Any:
    """A plan with batches that suit the device; sets the number of threads."""
    import torch

    from zeroi2v_bench.costs.side_by_side import Plan

    if threads:
        torch.set_num_threads(threads)
    usual = GPU_BATCHES if device.startswith("cuda") else CPU_BATCHES
    fixed = batch or usual[0]
    return Plan(device=device, batch=fixed, max_batch=max(fixed, max_batch or usual[1]), **rest)
