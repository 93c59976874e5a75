"""``zeroi2v-bench merge`` and ``zeroi2v-bench export``: from a checkpoint to plain weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from zeroi2v_bench.cli.run import FILE, read_config

RANDOM_CLIPS = 4
"""Clips of seeded noise on which a merge is verified where no dataset is at hand."""
config_option = click.option(
    "--config", type=FILE, help="JSON of what a published checkpoint does not say."
)


@click.command()
@click.option("--checkpoint", type=FILE, required=True, help="Published, or saved by `run`.")
@config_option
@click.option("--output", type=FILE, required=True, help="A .safetensors file to write.")
def merge_command(checkpoint: Path, config: Path | None, output: Path) -> None:
    """Merge the adapters of a checkpoint, verify, and write the plain model.

    Logits before and after are compared on random clips, in float32 and in float64; past
    tolerance nothing is written.
    """
    import torch

    from zeroi2v_bench.checkpoints.saved import save_model
    from zeroi2v_bench.checkpoints.trained_model import load_trained
    from zeroi2v_bench.merging import merge, verify_merge

    model = load_trained(checkpoint, read_config(config) if config else None)
    merged = merge(model)
    size, frames = model.config.image_size, model.recipe.num_frames if model.recipe else 8
    noise = torch.Generator().manual_seed(0)
    clips = (torch.randn(1, 3, frames, size, size, generator=noise) for _ in range(RANDOM_CLIPS))
    report = verify_merge(model, merged, clips)
    save_model(merged, output)
    click.echo(
        f"merged {report.num_merged} layers; largest logit difference on {RANDOM_CLIPS} clips:"
    )
    click.echo(f"  float32  {report.max_abs_float32:.2e}")
    click.echo(f"  float64  {report.max_abs_float64:.2e}")
    click.echo(f"wrote {output}")


@click.command()
@click.option(
    "--checkpoint", type=FILE, required=True, help="Published, or saved by `run` or `merge`."
)
@config_option
@click.option("--format", "fmt", type=click.Choice(["open_clip", "timm", "onnx"]), required=True)
@click.option(
    "--output", type=FILE, required=True, help="The file to write; a JSON goes beside it."
)
def export_command(
    checkpoint: Path,
    config: Path | None,
    fmt: Literal["open_clip", "timm", "onnx"],
    output: Path,
) -> None:
    """Write a merged model as another library's weights, or as ONNX.

    The JSON beside them holds what an image model has no place for: head offsets, temporal
    embedding and class names.
    """
    from zeroi2v_bench.checkpoints.export import export_model
    from zeroi2v_bench.checkpoints.trained_model import load_trained
    from zeroi2v_bench.merging import count_adapted, merge

    model = load_trained(checkpoint, read_config(config) if config else None)
    for path in export_model(merge(model) if count_adapted(model) else model, output, format=fmt):
        click.echo(f"wrote {path}")
