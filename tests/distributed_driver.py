"""Train and score on the processes of torchrun; run by test_distributed.py."""

import sys
from pathlib import Path

import numpy as np
import torch
from tiny_training import CLIPS, PROTOCOL, NoiseReader, at_path, train_tiny, without_dropout

from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.data.frame_cache import open_cache
from zeroi2v_bench.data.loader import build_loader
from zeroi2v_bench.data.reader_watch import batches_of
from zeroi2v_bench.distributed import gather, group_size, is_first, joined_group, rank
from zeroi2v_bench.evaluation import evaluate
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.records import BackboneInfo
from zeroi2v_bench.training.probe import extract_features
from zeroi2v_bench.types import Task


def make_model() -> VideoViT:
    """The same small model in every process."""
    torch.manual_seed(0)
    plain = VideoViT(
        ViTConfig(image_size=16, patch_size=8, width=24, depth=2, num_heads=6, mlp_width=48)
    )
    backbone = Backbone(model=plain, info=BackboneInfo(spec="tiny", weights_hash=""))
    task = Task(num_frames=4, class_names=("a", "b", "c"))
    return without_dropout(adapt("zeroi2v", backbone, task, {})).eval()


def main(folder: Path, micro_batch: int) -> None:
    """Write weights, predictions and features that must not depend on the number of processes."""
    torch.set_num_threads(1)
    clips = tuple(at_path(clip, __file__) for clip in CLIPS[:9])  # batches of 4, 4 and 1
    reader = NoiseReader({"clip5"})
    with joined_group("cpu"):
        model = make_model()
        start = [p.detach().clone() for p in model.parameters()]
        loader = build_loader(clips, PROTOCOL, reader, image_size=16, batch_size=2)
        (scored,) = evaluate([model], batches_of(loader), clips, num_classes=3)
        features, labels, left_out = extract_features(model, batches_of(loader))
        trained, report = train_tiny(model, clips=clips, reader=reader, micro_batch=micro_batch)
        assert all(map(torch.equal, start, model.parameters()))
        assert report.left_out == ("clip5",)
        cache = open_cache("ram")
        cache.put(f"clip{rank()}", np.zeros(3), False)
        gather(None)  # all of them have written
        assert all(cache.get(f"clip{other}") for other in range(group_size()))
        gather(None)  # all of them have read
        assert left_out == {5}
        if is_first():
            weights = torch.cat([p.detach().flatten() for p in trained.parameters()]).numpy()
            losses = np.array(report.losses)
            np.savez(folder, scores=scored.scores, weights=weights, losses=losses,
                     features=features, labels=labels)  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
