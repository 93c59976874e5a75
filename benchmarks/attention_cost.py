"""What the temporal heads cost: a merged ZeroI2V ViT-B/16 against the library's own image model.

    python benchmarks/attention_cost.py [--rounds 15] [--batch 1 --batch 4] [--device cpu]

In one process and turn by turn: the image model of timm or open_clip on the frames of a clip, the
merged video model on the clip, and the image model again, whose ratio to itself shows how fine the
comparison is. A ratio is that of one round; the table has the median over rounds with its exact
95 % interval. Weights are random, as no time depends on them. A classifier of 400 classes is part
of timm's model and of ours; open_clip's has its projection instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import open_clip
import timm
import torch
from torch import Tensor, nn

from zeroi2v_bench.backbones import openclip_vit
from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.costs.timing import median_interval, quartiles, take_turns
from zeroi2v_bench.environment import device_name
from zeroi2v_bench.merging import merge
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.from_timm import from_timm
from zeroi2v_bench.nn.video_vit import CLIP_MEAN, CLIP_STD, VideoViT
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.types import Task

if TYPE_CHECKING:
    from zeroi2v_bench.costs.cost_records import Spread

NUM_FRAMES = 8
NUM_CLASSES = 400
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A library's image model and the merged video model made of it."""

    library: str
    plain: nn.Module
    merged: VideoViT


def make_pair(library: str) -> Pair:
    """ViT-B/16 with QuickGELU and random weights, plain and as merged ZeroI2V."""
    plain: Any
    if library == "timm":
        name = "vit_base_patch16_clip_quickgelu_224"
        plain = timm.create_model(name, num_classes=NUM_CLASSES).eval()
        model = from_timm(plain, mean=CLIP_MEAN, std=CLIP_STD)
    else:
        plain = open_clip.create_model("ViT-B-16-quickgelu").visual.eval()
        model = openclip_vit.convert(plain, mean=CLIP_MEAN, std=CLIP_STD)
    task = Task(num_frames=NUM_FRAMES, class_names=tuple(map(str, range(NUM_CLASSES))))
    backbone = Backbone(model=model, info=BackboneInfo(spec=library, weights_hash=""))
    return Pair(
        library=library, plain=plain, merged=merge(adapt("zeroi2v", backbone, task, {}).eval())
    )


@torch.inference_mode()
def time_pair(pair: Pair, video: Tensor, rounds: int) -> tuple[float, Spread, Spread]:
    """Median seconds of the image model, and the ratios of the video model and of itself to it."""
    plain, merged = (m.to(video.device, video.dtype) for m in (pair.plain, pair.merged))
    frames = video.transpose(1, 2).flatten(0, 1).contiguous()  # (B*T, C, H, W)
    calls = [partial(plain, frames), partial(merged, video), partial(plain, frames)]
    first, ours, second = take_turns(calls, rounds=rounds, report=show)
    ratios = [m / p for m, p in zip(ours, first, strict=True)]
    null = [p / q for p, q in zip(second, first, strict=True)]
    return quartiles(first).median, median_interval(ratios), median_interval(null)


def show(line: str) -> None:
    """Progress, away from the table."""
    print(line, file=sys.stderr)


def has_bfloat16(device: str) -> bool:
    """Whether the machine computes in bfloat16, rather than emulating it."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def format_spread(spread: Spread) -> str:
    """A median with its interval."""
    return f"{spread.median:.3f} [{spread.low:.3f}, {spread.high:.3f}]"


def parse_arguments() -> argparse.Namespace:
    """What to time; everything by default."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, action="append", help="clips; default 1 and 4")
    parser.add_argument("--library", action="append", choices=("timm", "open_clip"))
    parser.add_argument("--dtype", action="append", choices=tuple(DTYPES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    dtypes = arguments.dtype or ["float32", *["bfloat16"] * has_bfloat16(arguments.device)]
    print(
        f"{device_name(arguments.device)}, {arguments.threads} threads, torch {torch.__version__}"
    )
    print(f"load average at the start {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds\n")
    print("| image model | clips | dtype | image model, ms | merged / plain | plain / plain |")
    print("| --- | --- | --- | --- | --- | --- |")
    for library in arguments.library or ("timm", "open_clip"):
        for dtype in dtypes:
            pair = make_pair(library)
            for batch in arguments.batch or (1, 4):
                video = torch.randn(batch, 3, NUM_FRAMES, 224, 224, dtype=DTYPES[dtype])
                seconds, ratio, null = time_pair(pair, video.to(arguments.device), arguments.rounds)
                print(
                    f"| {library} | {batch} | {dtype} | {1000 * seconds:.0f} "
                    f"| {format_spread(ratio)} | {format_spread(null)} |",
                    flush=True,
                )
    print(f"\nload average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
