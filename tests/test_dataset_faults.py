"""Files that contradict themselves or each other are one clear error that names the file."""

import errno
import json
import os

import pytest
import standin_trees as trees

from zeroi2v_bench.data.reader_watch import require_files
from zeroi2v_bench.datasets import hmdb51, kinetics400, ssv2, ucf101
from zeroi2v_bench.errors import DataError
from zeroi2v_bench.protocol import SplitSpec
from zeroi2v_bench.types import Clip

FIRST, DEFAULT = SplitSpec(name="1"), SplitSpec()
LISTS = "ucfTrainTestlist"


def ucf(root):
    return trees.ucf101_tree(root, trees.ucf101_lists(groups=2, clips=1))


def hmdb(root):
    return trees.hmdb51_tree(root, trees.hmdb51_lists(train=1, test=1))


def something(root):
    return trees.ssv2_tree(root, trees.ssv2_lists(train=1))


def k400(root):
    return trees.k400_tree(root, trees.k400_lists(train=1))


def mmaction(root):
    return trees.mmaction_tree(root, trees.k400_lists(train=2))


@pytest.mark.parametrize(
    ("build", "module", "file", "old", "new", "reason"),
    [
        (ucf, ucf101, f"{LISTS}/classInd.txt", "2 Hammer", "3 Hammer", "expected '2 NAME'"),
        (ucf, ucf101, f"{LISTS}/trainlist01.txt", ".avi 2\n", ".avi 1\n", "as in classInd"),
        (ucf, ucf101, f"{LISTS}/testlist01.txt", "Hammering/", "Hammer/", "as in classInd"),
        (ucf, ucf101, f"{LISTS}/testlist01.txt", "Hammering/", "../x/", "leaves the data root"),
        (hmdb, hmdb51, "testTrainMulti_7030_splits/kick_test_split1.txt", " 1 ", " 3 ", "0|1|2"),
        (
            hmdb,
            hmdb51,
            "testTrainMulti_7030_splits/kick_test_split1.txt",
            "kick",
            "a/b",
            "NAME.avi",
        ),
        (something, ssv2, "something-something-v2-labels.json", '"7"', '"700"', "indices 0, 1, 2"),
        (something, ssv2, "something-something-v2-labels.json", "{", "", "cannot be read as JSON"),
        (
            something,
            ssv2,
            "something-something-v2-train.json",
            "Putting",
            "Poking",
            "known template",
        ),
        (something, ssv2, "something-something-v2-train.json", '"id"', '"key"', "has no id"),
        (k400, kinetics400, "annotations/train.csv", "youtube_id", "id", "lacks label, youtube_id"),
        (k400, kinetics400, "annotations/train.csv", ",5,", ",soon,", "row 1 lacks"),
        (
            k400,
            kinetics400,
            "annotations/train.csv",
            "air drumming",
            "sport 001",
            "not in the training list",
        ),
        (k400, kinetics400, "annotations/val.csv", "air drumming", "juggling", "not in the train"),
        (
            mmaction,
            kinetics400,
            "kinetics400_train_list_videos.txt",
            " 7\n",
            " 8\n",
            "class folder",
        ),
    ],
)
def test_a_fault_in_a_list_is_named(tmp_path, build, module, file, old, new, reason):
    root = build(tmp_path / "tree")
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DataError) as caught:
        module.load(root, FIRST if module in {hmdb51, ucf101} else DEFAULT)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("train", "val"),
    [("train.csv", "validate.csv"), ("kinetics_train.csv", "kinetics_val.csv")],
)
def test_other_names_of_the_k400_lists_are_known(tmp_path, train, val):
    root = k400(tmp_path / "tree")
    expected = kinetics400.load(root, DEFAULT)
    (root / "annotations" / "train.csv").rename(root / "annotations" / train)
    (root / "annotations" / "val.csv").rename(root / "annotations" / val)
    assert kinetics400.load(root, DEFAULT) == expected


def test_a_json_list_of_another_kind_is_refused(tmp_path):
    root = something(tmp_path / "tree")
    (root / "something-something-v2-train.json").write_text(json.dumps({"id": 1}))
    with pytest.raises(DataError, match="expected a list, got dict"):
        ssv2.load(root, DEFAULT)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    root = ucf(tmp_path / "tree")
    (root / LISTS / "trainlist01.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"trainlist01\.txt: cannot be read"):
        ucf101.load(root, FIRST)


def test_a_data_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="absent is not a folder"):
        ucf101.load(tmp_path / "absent", FIRST)


def test_a_mount_that_broke_is_data_that_is_gone(monkeypatch):
    def broken(*_, **__):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    clips = [Clip(id="a", path="/mount/a.avi", label=0)]
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", broken)
        with pytest.raises(DataError, match="is the folder still mounted"):
            require_files(clips)
