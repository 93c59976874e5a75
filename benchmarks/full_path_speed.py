"""Speed of the whole path: training step, its memory, evaluation, epochs from the cache, decoding.

Times are ratios of calls that take turns in one process, with the median over the rounds and its
95 % interval; `zeroi2v_bench.costs.timing` says how. Run it on a machine with nothing else to do:

    python benchmarks/full_path_speed.py                 # everything
    python benchmarks/full_path_speed.py step memory     # two parts of it
    ZEROI2V_BENCH_REFERENCE_DATA=DIR python benchmarks/full_path_speed.py decode   # DIR/clips
"""

from __future__ import annotations

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import torch

from zeroi2v_bench.backbones.base import Backbone, load_backbone
from zeroi2v_bench.costs.timing import LiveMemory, median_interval, take_turns
from zeroi2v_bench.data.data_index import ClipInfo
from zeroi2v_bench.data.frame_cache import open_cache
from zeroi2v_bench.data.loader import build_loader
from zeroi2v_bench.data.reader import FrameReader
from zeroi2v_bench.data.reader_watch import batches_of
from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.evaluation import evaluate
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.protocol import load_protocol, override
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.training.optimiser import parameter_groups
from zeroi2v_bench.training.train_loss import summed_loss
from zeroi2v_bench.types import Clip, Task
from zeroi2v_bench.video.decode import decode_frames, probe_video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch.utils.data import DataLoader

    from zeroi2v_bench.data.loader import Batch, Sample
    from zeroi2v_bench.protocol import Protocol

NUM_CLASSES = 8
B16 = ViTConfig(image_size=224, patch_size=16, width=768, depth=12, num_heads=12, mlp_width=3072)


def compare(
    title: str,
    call: Callable[[], object],
    reference: Callable[[], object],
    target: float,
    rounds: int,
) -> None:
    """Print how much longer a call takes than its reference."""
    taken, base = take_turns([call, reference], rounds=rounds)
    ratio = median_interval([a / b for a, b in zip(taken, base, strict=True)])
    print(
        f"{title}: {ratio.median:.3f} x [{ratio.low:.3f}, {ratio.high:.3f}] over {rounds} rounds, "
        f"target <= {target:g} x ({np.median(taken):.4f} s to {np.median(base):.4f} s)",
        flush=True,
    )


def backbone_b16() -> Backbone:
    """ViT-B/16 in CLIP's form, with random weights; speed does not depend on them."""
    torch.manual_seed(0)
    return Backbone(model=VideoViT(B16).eval(), info=BackboneInfo(spec="B/16", weights_hash=""))


def adapted(method: str, backbone: Backbone, **params: object) -> VideoViT:
    """A model in training for 8 frames."""
    task = Task(num_frames=8, class_names=tuple(f"class {k}" for k in range(NUM_CLASSES)))
    return adapt(method, backbone, task, params)


class Step:
    """Training steps of one model: forward, backward, AdamW."""

    def __init__(self, model: VideoViT, protocol: Protocol) -> None:
        self.model, self.optim = model.train(), protocol.optim
        self.optimiser = torch.optim.AdamW(parameter_groups(model, self.optim))

    def __call__(self, batches: Iterable[Batch]) -> None:
        """One step per batch."""
        with torch.inference_mode(mode=False), torch.enable_grad():
            for batch in batches:
                loss = summed_loss(self.model, self.model, batch, self.optim, "cpu")
                (loss / len(batch.rows)).backward()
                self.optimiser.step()
                self.optimiser.zero_grad(set_to_none=True)


def make_batch(num_clips: int, side: int) -> Batch:
    """Noise."""
    from zeroi2v_bench.data.loader import Batch

    generator = torch.Generator().manual_seed(0)
    shape = (num_clips, 1, 3, 8, side, side)
    video = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.arange(num_clips) % NUM_CLASSES
    return Batch(video, labels, torch.arange(num_clips), dict.fromkeys(range(num_clips), "ok"))


def measure_step(rounds: int) -> None:
    """A training step of ZeroI2V against the plain backbone's forward pass."""
    backbone, batch = backbone_b16(), make_batch(1, 224)
    step = Step(adapted("zeroi2v", backbone), load_protocol("full_k400_8f"))
    video = batch.video[:, 0].float()
    compare(
        "training step of ZeroI2V, B/16, 8 frames / forward pass of the plain model",
        partial(step, [batch]), partial(backbone.model, video), 2.7, rounds,
    )  # fmt: skip


def measure_memory(rounds: int) -> None:
    """Peak memory of a training step against that of full fine-tuning."""
    backbone, protocol = backbone_b16(), load_protocol("full_k400_8f")
    print("| batch | ZeroI2V (MB) | full fine-tuning (MB) | ratio |\n| ---: | ---: | ---: | ---: |")
    for num_clips in (1, 2, 4):
        peaks = []
        for method in ("zeroi2v", "full_finetune"):
            step = Step(adapted(method, backbone), protocol)
            batch = make_batch(num_clips, 224)
            step([batch])  # the optimiser's state is there from the second step on
            state = [v for s in step.optimiser.state.values() for v in s.values()]
            live = LiveMemory(
                [*step.model.parameters(), *filter(torch.is_tensor, state), batch.video]
            )
            with live:
                step([batch])
            peaks.append(live.peak / 1e6)
        print(
            f"| {num_clips} | {peaks[0]:.0f} | {peaks[1]:.0f} | {peaks[0] / peaks[1]:.3f} |",
            flush=True,
        )
    print("target at batch 1: <= 0.72")


def write_clips(folder: Path, count: int, num_frames: int = 60) -> tuple[Clip, ...]:
    """H.264 files of moving gradients, 256 x 256."""
    clips = []
    for number in range(count):
        path = folder / f"{number}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
            for frame in range(num_frames):
                grid = np.add.outer(np.arange(256), np.arange(256)) + 7 * frame + 31 * number
                picture = np.stack([grid, grid * 2, 255 - grid], axis=-1).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        clips.append(Clip(id=str(number), path=str(path), label=number % NUM_CLASSES))
    return tuple(clips)


def index_of(clips: Iterable[Clip]) -> dict[str, ClipInfo]:
    """What a scan would find."""
    found = {}
    for clip in clips:
        file, info = Path(clip.path).stat(), probe_video(clip.path)
        found[clip.path] = ClipInfo(
            clip.path, file.st_size, file.st_mtime_ns, "ok", num_frames=info.num_frames
        )
    return found


def measure_evaluation(rounds: int) -> None:
    """Evaluation from files, once indexed, against the model alone on the same views."""
    model = adapted("zeroi2v", backbone_b16()).eval()
    with tempfile.TemporaryDirectory() as folder:
        clips = write_clips(Path(folder), 4)
        loader = build_loader(
            clips, load_protocol("full_k400_8f"), FrameReader(index=index_of(clips)),
            image_size=224, batch_size=1, workers=1,
        )  # fmt: skip
        stored = list(batches_of(loader))
        score = partial(evaluate, [model], clips=clips, num_classes=NUM_CLASSES)
        compare(
            "evaluation of ViT-B/16 from files / the model alone",
            lambda: score(batches_of(loader)), lambda: score(stored), 1.10, rounds,
        )  # fmt: skip


def measure_epochs(rounds: int) -> None:
    """Few-shot epochs after the first against the same steps on batches that lie ready."""
    cases = (("ViT-B/16", backbone_b16(), 224, 256, 2, 2, 1.05),
             ("digits", load_backbone("digits", image_size=32), 32, 32, 64, 16, 1.3))  # fmt: skip
    for name, backbone, side, short_side, count, batch_size, target in cases:
        changes = {"augment.short_side": short_side, "optim.precision": "fp32"}
        protocol = override(
            load_protocol("fewshot_k400_2shot"), {**changes, "sampling.num_frames": 8}
        )
        step = Step(adapted("zeroi2v", backbone), protocol)
        with tempfile.TemporaryDirectory() as folder:
            clips = write_clips(Path(folder), count)
            loader: DataLoader[Sample] = build_loader(
                clips, protocol, FrameReader(open_cache("ram")), image_size=side,
                batch_size=batch_size, seed=0,
            )  # fmt: skip
            stored = list(batches_of(loader))
            compare(
                f"few-shot epoch from the cache, {name} / its steps alone",
                partial(epoch_of, step, loader),
                partial(step, stored), target, rounds,
            )  # fmt: skip


def epoch_of(step: Step, loader: DataLoader[Sample]) -> None:
    """One pass over the loader."""
    step(batches_of(loader))


def measure_decoding(rounds: int) -> None:
    """Eight uniform frames against decord, on the clips that decord reads, one thread each."""
    import decord

    root = os.environ.get("ZEROI2V_BENCH_REFERENCE_DATA")
    if not root:
        print("decoding: set ZEROI2V_BENCH_REFERENCE_DATA to a folder with clips/")
        return
    ratios = []
    for path in sorted(p for p in Path(root, "clips").iterdir() if p.is_file()):
        try:
            num_frames = probe_video(path).num_frames
            indices = np.linspace(0, num_frames - 1, 8).round().astype(int)
            peer = partial(read_with_decord, decord, path, indices)
            peer()
        except (DecodeError, decord.DECORDError, IndexError, RuntimeError):
            continue
        ours, theirs = take_turns([partial(decode_frames, path, indices), peer], rounds=rounds)
        ratio = median_interval([a / b for a, b in zip(ours, theirs, strict=True)])
        ratios.append(ratio.median)
        print(
            f"  {path.name}: {ratio.median:.3f} x [{ratio.low:.3f}, {ratio.high:.3f}]", flush=True
        )
    print(
        f"decoding / decord: median {np.median(ratios):.3f} x over {len(ratios)} clips, "
        "target <= 1.05 x"
    )


def read_with_decord(decord: object, path: Path, indices: np.ndarray) -> np.ndarray:
    """As a loader would: open, read, close."""
    reader = decord.VideoReader(str(path), num_threads=1)  # type: ignore[attr-defined]
    frames: np.ndarray = reader.get_batch(indices.tolist()).asnumpy()
    return frames


PARTS = {
    "step": measure_step,
    "memory": measure_memory,
    "evaluation": measure_evaluation,
    "epochs": measure_epochs,
    "decode": measure_decoding,
}


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for part in arguments.parts or PARTS:
        PARTS[part](arguments.rounds)


if __name__ == "__main__":
    main()
