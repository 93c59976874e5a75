"""The same training on a GPU: every precision, compiled or not, next to the CPU's."""

import pytest
import torch
from tiny_training import CLIPS, PROTOCOL, NoiseReader, same_weights, train_tiny, without_dropout

from zeroi2v_bench.data.loader import build_loader
from zeroi2v_bench.data.reader_watch import batches_of
from zeroi2v_bench.evaluation import evaluate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.fixture
def model(tiny_zeroi2v):
    return without_dropout(tiny_zeroi2v)


def test_a_training_in_float32_ends_where_it_does_on_the_cpu(model):
    there, _ = train_tiny(model.to("cuda"), device="cuda")
    here, _ = train_tiny(model.to("cpu"))
    assert same_weights(there.to("cpu"), here, atol=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_reduced_precision_trains_with_finite_weights_near_those_of_float32(
    model, precision, compiled
):
    optim = PROTOCOL.optim.model_copy(update={"precision": precision, "grad_clip": 1.0})
    trained, report = train_tiny(model.to("cuda"), device="cuda", optim=optim, compiled=compiled)
    _, exact = train_tiny(model.to("cpu"))
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in trained.parameters())
    assert report.losses == pytest.approx(exact.losses, rel=0.1)
    assert not same_weights(trained.to("cpu"), model.to("cpu"))


def test_scores_are_those_of_the_cpu_with_pinned_memory_and_channels_last(model):
    loader = build_loader(
        CLIPS, PROTOCOL, NoiseReader(), image_size=16, batch_size=4, workers=1, pin_memory=True
    )
    (here,) = evaluate([model], batches_of(loader), CLIPS, num_classes=3)
    model.to("cuda").patch_embed.to(memory_format=torch.channels_last)
    (there,) = evaluate([model], batches_of(loader), CLIPS, num_classes=3, device="cuda")
    assert there.scores == pytest.approx(here.scores, abs=1e-3)
