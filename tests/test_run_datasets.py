"""``run`` goes from the official files of every dataset to a record, for every number of shots."""

import json

import pytest
import standin_trees as trees
from click.testing import CliRunner

from zeroi2v_bench.cli import main
from zeroi2v_bench.datasets import hmdb51, kinetics400, ssv2, ucf101
from zeroi2v_bench.protocol import load_protocol
from zeroi2v_bench.records import load_records

CLASSES = 2
SMALL = (
    "optim.epochs=1",
    "sampling.num_frames=4",
    "image_size=32",
    "augment.short_side=32",
    "views.short_side=32",
)
TREES = {
    "hmdb": lambda root: trees.hmdb51_tree(root, trees.hmdb51_lists(CLASSES, train=16, test=2)),
    "ucf": lambda root: trees.ucf101_tree(root, trees.ucf101_lists(CLASSES, groups=5, clips=4)),
    "ssv2": lambda root: trees.ssv2_tree(root, trees.ssv2_lists(CLASSES, train=16, test=2)),
    "k400": lambda root: trees.k400_tree(root, trees.k400_lists(CLASSES, train=16, test=2)),
}


@pytest.fixture(scope="module", params=TREES)
def dataset(request, tmp_path_factory):
    return request.param, TREES[request.param](tmp_path_factory.mktemp(request.param) / "tree")


@pytest.fixture(autouse=True)
def few_classes(monkeypatch):
    for module in (hmdb51, ucf101, ssv2, kinetics400):
        monkeypatch.setattr(module, "NUM_CLASSES", CLASSES)


def run(protocol, root, results, *arguments, changes=SMALL):
    options = [f"--set={change}" for change in changes]
    base = ["run", "--protocol", protocol, "--data-root", root, "--results", results]
    command = [*base, "--backbone", "digits", *options, *arguments]
    return CliRunner().invoke(main, [str(part) for part in command], catch_exceptions=False)


@pytest.mark.parametrize("shots", [2, 4, 8, 16])
def test_every_few_shot_protocol_runs_whole(dataset, shots, tmp_path):
    name, root = dataset
    protocol = f"fewshot_{name}_{shots}shot"
    result = run(protocol, root, tmp_path, "--method", "zeroi2v")
    assert result.exit_code == 0, result.stderr
    records, skipped = load_records([tmp_path])
    assert skipped == []
    (record,) = records
    assert record.protocol.startswith(f"{protocol}+optim.epochs=1")
    assert (
        record.accuracy.num_expected
        == record.accuracy.num_clips
        == 2 * CLASSES * (2 if name == "ucf" else 1)
    )


def test_bad_clips_stay_in_the_denominator_and_are_left_out_of_training(tmp_path):
    root = TREES["ssv2"](tmp_path / "tree")
    videos = root / "20bn-something-something-v2"
    items = json.loads((root / "something-something-v2-validation.json").read_text())
    (videos / f"{items[0]['id']}.webm").unlink()
    train = json.loads((root / "something-something-v2-train.json").read_text())
    for item in train[:3]:
        path = videos / f"{item['id']}.webm"
        path.unlink()
        path.touch()
    result = run("fewshot_ssv2_16shot", root, tmp_path / "r", "--method", "zeroi2v")
    assert result.exit_code == 0, result.stderr
    (record,), _ = load_records([tmp_path / "r"])
    accuracy = record.accuracy
    assert (accuracy.num_expected, accuracy.num_clips, accuracy.num_unreadable) == (4, 3, 1)
    assert accuracy.top1 <= 75


def test_without_the_files_a_run_is_one_error_and_no_record(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("fewshot_hmdb_2shot", empty, tmp_path / "r")
    assert result.exit_code == 1
    assert "testTrainMulti_7030_splits" in result.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "build", "expected"),
    [("hmdb", trees.official_hmdb51, 1530), ("ucf", trees.official_ucf101, 3783)],
)
def test_a_whole_tree_runs_as_the_protocol_says(
    name, build, expected, reference_data, monkeypatch, tmp_path
):
    """Every official file name, the protocol as it is."""
    monkeypatch.undo()
    (tmp_path / "data").mkdir()
    root = build(tmp_path / "data", reference_data)
    protocol = f"fewshot_{name}_2shot"
    result = run(protocol, root, tmp_path / "r", "--method", "zeroi2v", changes=())
    assert result.exit_code == 0, result.stderr
    (record,), _ = load_records([tmp_path / "r"])
    assert record.accuracy.num_expected == record.accuracy.num_clips == expected
    assert record.protocol_hash == load_protocol(protocol).hash
