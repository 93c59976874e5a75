"""Records: what cannot be is refused when it is read, with one line for each file."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_records import record
from test_cost_cases import ZEROI2V, costs

from zeroi2v_bench.checkpoints.trained_model import plain_model_of
from zeroi2v_bench.costs.cost_records import append_costs, load_costs
from zeroi2v_bench.errors import RecordError
from zeroi2v_bench.evaluation import accuracy_of
from zeroi2v_bench.nn.video_vit import VideoViT, ViTConfig
from zeroi2v_bench.records import append_record, read_record
from zeroi2v_bench.reports.measured import architecture, group_runs, pretraining
from zeroi2v_bench.types import Predictions


@pytest.mark.parametrize(
    ("value", "broken", "field"),
    [
        ('"top1":87.25', '"top1":120.0', "accuracy.top1"),
        ('"top1":87.25', '"top1":NaN', "accuracy.top1"),
        ('"num_expected":400', '"num_expected":-1', "accuracy.num_expected"),
        ('"shots":null', '"shots":0', "shots"),
    ],
)
def test_impossible_values_are_named(value, broken, field, tmp_path):
    path = append_record(record(), tmp_path)
    text = path.read_text().replace('": ', '":')
    assert value in text
    path.write_text(text.replace(value, broken, 1))
    with pytest.raises(RecordError, match=rf"{path.name}: damaged record: {field}: "):
        read_record(path)


def test_a_cost_record_that_is_found_twice_counts_once(tmp_path):
    for folder in ("a", "b"):
        append_costs(costs(*ZEROI2V), tmp_path / folder)
    records, problems = load_costs([tmp_path / "a", tmp_path / "b"])
    assert len(records) == 1
    assert len(problems) == 1
    assert "same run id as" in problems[0]


def test_runs_of_two_decoders_are_never_pooled():
    other = record(run_id="other", decoder="decord 0.6.0", created="2026-02-01T00:00:00Z")
    groups, lines = group_runs([record(), other])
    assert [len(group.runs) for group in groups] == [1, 1]
    assert lines == []


@pytest.mark.parametrize(
    ("width", "depth", "patch", "side", "name"),
    [(768, 12, 16, 224, "ViT-B/16"), (1024, 24, 14, 336, "ViT-L/14@336")],
)
def test_a_checkpoint_is_known_by_its_network(width, depth, patch, side, name, tmp_path, meta):
    config = ViTConfig(
        image_size=side, patch_size=patch, width=width, depth=depth,
        num_heads=width // 64, mlp_width=4 * width,
    )  # fmt: skip
    found = plain_model_of(VideoViT(config), tmp_path / "released.pth")
    assert found.info.spec == f"checkpoint:{name}/released.pth"
    assert architecture(found.info.spec) == name
    assert repr(pretraining(found.info.spec)) == "any"


def test_a_checkpoint_of_other_heads_is_another_run(tiny_zeroi2v):
    hashes = set()
    for offsets in ((-1, 1, 0, 0, 0, 0), (-1, 1, -2, 0, 0, 0)):
        tiny_zeroi2v.recipe = replace(tiny_zeroi2v.recipe, params={"temporal_heads": offsets})
        hashes.add(plain_model_of(tiny_zeroi2v, None).info.weights_hash)
    assert len(hashes) == 2


def test_clips_left_out_of_the_denominator_show_in_the_coverage():
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [np.nan, np.nan]], dtype=np.float32)
    predictions = Predictions(
        clip_ids=("a", "b", "c"),
        labels=np.array([0, 1, 0]),
        scores=scores,
        status=("ok", "ok", "unreadable: gone"),
    )
    accuracy = accuracy_of(predictions, bad_clips="excluded").model_dump()
    assert (accuracy["num_expected"], accuracy["top1"]) == (2, 50.0)
    (group,), _ = group_runs([record(accuracy=accuracy, num_test=3)])
    assert group.behind()["coverage"] == "2/3"


@pytest.fixture
def meta(monkeypatch):
    """Models without memory, whose weights nobody hashes."""
    import torch

    monkeypatch.setattr(
        "zeroi2v_bench.checkpoints.trained_model.hash_weights", lambda model: "0" * 64
    )
    with torch.device("meta"):
        yield


def test_a_checkpoint_whose_heads_stand_in_another_order_is_another_run(tiny_zeroi2v):
    hashes = set()
    for heads in ({-1: 1, 1: 2}, {1: 2, -1: 1}):
        tiny_zeroi2v.recipe = replace(tiny_zeroi2v.recipe, params={"temporal_heads": heads})
        hashes.add(plain_model_of(tiny_zeroi2v, None).info.weights_hash)
    assert len(hashes) == 2
