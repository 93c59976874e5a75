"""Known counts and orders, on the real lists where they are at hand."""

import csv
from pathlib import Path

import pytest
import standin_trees as trees

from zeroi2v_bench.data.splits import load_splits
from zeroi2v_bench.datasets import hmdb51, kinetics400, ssv2, ucf101
from zeroi2v_bench.errors import DataError
from zeroi2v_bench.protocol import SplitSpec, load_protocol, override

pytestmark = pytest.mark.data
SHOTS = (2, 4, 8, 16)


@pytest.fixture(scope="module")
def hmdb(reference_data, tmp_path_factory):
    return trees.official_hmdb51(tmp_path_factory.mktemp("hmdb"), reference_data)


@pytest.fixture(scope="module")
def ucf(reference_data, tmp_path_factory):
    return trees.official_ucf101(tmp_path_factory.mktemp("ucf"), reference_data)


def published(reference_data, folder, name, root):
    """A published list, copied into the data root."""
    source = reference_data / "splits" / "vifi_clip" / folder / name
    (root / source.name.removesuffix(".gz")).write_text(trees.text_of(source))
    return source.name.removesuffix(".gz")


@pytest.mark.parametrize("split", hmdb51.SPLITS)
def test_hmdb_has_3570_and_1530_clips(hmdb, split):
    splits = hmdb51.load(hmdb, SplitSpec(name=split))
    assert (len(splits.train), len(splits.test)) == hmdb51.COUNTS[split] == (3570, 1530)
    assert all(Path(clip.path).is_file() for clip in splits.train + splits.test)


@pytest.mark.parametrize("split", ucf101.SPLITS)
def test_ucf_has_its_known_counts(ucf, split):
    splits = ucf101.load(ucf, SplitSpec(name=split))
    assert (len(splits.train), len(splits.test)) == ucf101.COUNTS[split]
    assert all(Path(clip.path).is_file() and clip.group for clip in splits.train + splits.test)


@pytest.mark.parametrize("split", hmdb51.SPLITS)
def test_published_test_lists_of_hmdb_are_the_official_ones(hmdb, reference_data, split):
    name = f"val{split}.txt" + (".gz" if split != "1" else "")
    name = published(reference_data, "hmdb_splits", name, hmdb)
    official = hmdb51.load(hmdb, SplitSpec(name=split))
    assert hmdb51.load(hmdb, SplitSpec(name=split, test_list=name)).test == official.test


@pytest.mark.parametrize("shots", SHOTS)
@pytest.mark.parametrize("dataset", ["hmdb", "ucf"])
def test_published_few_shot_lists_load_and_do_not_leak(request, reference_data, dataset, shots):
    root = request.getfixturevalue(dataset)
    name = f"train1_few_shot_{shots}.txt"
    published(reference_data, f"{dataset}_splits", name, root)
    protocol = override(
        load_protocol(f"fewshot_{dataset}_{shots}shot"), {"splits.train_list": name}
    )
    splits = load_splits(protocol, root, seed=0)
    assert len(splits.train) == shots * len(splits.class_names)
    assert {clip.label for clip in splits.train} == set(range(len(splits.class_names)))


def test_published_few_shot_lists_leak_into_the_other_test_splits(hmdb, reference_data):
    name = published(reference_data, "hmdb_splits", "train1_few_shot_16.txt", hmdb)
    protocol = override(
        load_protocol("fewshot_hmdb_16shot"), {"splits.train_list": name, "splits.name": "2"}
    )
    with pytest.raises(DataError, match="233 clip ids are in training and test set"):
        load_splits(protocol, hmdb, seed=0)


def test_class_orders_are_those_of_the_published_label_maps(hmdb, ucf, reference_data):
    maps = reference_data / "splits" / "mmaction2_label_maps"
    for module, root in ((hmdb51, hmdb), (ucf101, ucf)):
        names = module.load(root, SplitSpec(name="1")).class_names
        map_name = f"{module.__name__.rpartition('.')[2]}.txt"
        assert list(names) == (maps / map_name).read_text().splitlines()
    kinetics = (maps / "k400.txt").read_text().splitlines()
    assert kinetics == sorted(kinetics)
    assert len(kinetics) == kinetics400.NUM_CLASSES


def test_ssv2_validation_has_24777_clips_and_flip_pairs_fit_the_names(reference_data, tmp_path):
    splits = reference_data / "splits" / "vifi_clip"
    text = trees.text_of(splits / "ssv2_splits" / "validation.txt.gz")
    clips = [(i.removesuffix(".webm"), int(k)) for i, k in map(str.split, text.splitlines())]
    with (splits / "labels" / "ssv2_labels.csv").open() as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert names == sorted(names)
    lists = {"templates": names, "train": [("1", 0)], "validation": clips}
    loaded = ssv2.load(trees.ssv2_tree(tmp_path / "s", lists), SplitSpec())
    assert len(loaded.test) == ssv2.COUNTS["default"][1] == 24_777
    assert len({clip.label for clip in loaded.test}) == ssv2.NUM_CLASSES == 174
    words = {"left": "right", "right": "left"}
    mirrored = [" ".join(words.get(w, w) for w in name.split()) for name in loaded.class_names]
    index = {name: label for label, name in enumerate(loaded.class_names)}
    pairs = {label: index[m] for label, m in enumerate(mirrored) if index.get(m, label) != label}
    assert pairs == ssv2.FLIP_PAIRS


def test_a_wrong_label_order_is_caught(hmdb, reference_data):
    """Sorting file names instead of class names swaps kick and kick_ball."""
    name = published(reference_data, "hmdb_splits", "train1_few_shot_2.txt", hmdb)
    swap = {"20": "21", "21": "20"}
    lines = [line.rpartition(" ") for line in (hmdb / name).read_text().splitlines()]
    (hmdb / "swapped.txt").write_text("".join(f"{n} {swap.get(k, k)}\n" for n, _, k in lines))
    with pytest.raises(DataError, match="'kick_ball'"):
        hmdb51.load(hmdb, SplitSpec(name="1", train_list="swapped.txt"))
