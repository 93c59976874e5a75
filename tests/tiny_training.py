"""A training of seconds: four classes of noise, read from memory."""

import copy
from dataclasses import replace

import numpy as np
import torch

from zeroi2v_bench.data.loader import build_loader
from zeroi2v_bench.errors import DecodeError
from zeroi2v_bench.protocol import load_protocol, override
from zeroi2v_bench.training.train import fit
from zeroi2v_bench.training.train_state import trained_tensors
from zeroi2v_bench.types import Clip

PROTOCOL = override(
    load_protocol("full_digits"),
    {
        "sampling.num_frames": 4,
        "image_size": 16,
        "augment.short_side": 16,
        "optim.epochs": 2,
        "optim.batch_size": 4,
    },
)
CLIPS = tuple(Clip(id=f"clip{n}", path=f"/nowhere/{n}", label=n % 3) for n in range(10))


class NoiseReader:
    """Frames that follow from the clip's name; some clips cannot be read."""

    def __init__(self, unreadable=(), before_read=lambda clip: None):
        self.unreadable = unreadable
        self.before_read = before_read

    def read(self, clip, select, short_side, **kwargs):
        self.before_read(clip)
        if clip.id in self.unreadable:
            raise DecodeError(f"{clip.path}: cannot be read")
        rng = np.random.default_rng(list(clip.id.encode()))
        frames = torch.from_numpy(rng.integers(0, 256, (6, 3, 16, 16), dtype=np.uint8))
        return frames[torch.from_numpy(select(6))], False


def train_tiny(model, *, reader=None, clips=CLIPS, workers=0, micro_batch=None, **options):
    """Train a copy; returns it and the report."""
    model = copy.deepcopy(model)
    loader = build_loader(
        clips,
        PROTOCOL,
        reader or NoiseReader(),
        image_size=16,
        batch_size=PROTOCOL.optim.batch_size,
        seed=0,
        micro_batch=micro_batch,
        workers=workers,
    )
    optim = options.pop("optim", PROTOCOL.optim)
    return model, fit(model, loader, optim, clips, seed=0, **options)


def without_dropout(model):
    """A copy whose training draws nothing."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def same_weights(one, other, **tolerance):
    """Whether two models have equal trained tensors; bit for bit without a tolerance."""
    pairs = zip(trained_tensors(one).values(), trained_tensors(other).values(), strict=True)
    if tolerance:
        return all(torch.allclose(a, b, **tolerance) for a, b in pairs)
    return all(torch.equal(a, b) for a, b in pairs)


def at_path(clip, path):
    """The clip with another path."""
    return replace(clip, path=str(path))
