"""List files replace a side of a split; what contradicts the dataset is refused."""

import pytest
import standin_trees as trees

from zeroi2v_bench.datasets import hmdb51, kinetics400, ucf101
from zeroi2v_bench.datasets._lists import read_list
from zeroi2v_bench.errors import DataError
from zeroi2v_bench.protocol import SplitSpec


@pytest.fixture(scope="module")
def ucf(tmp_path_factory):
    return trees.ucf101_tree(tmp_path_factory.mktemp("ucf"), trees.ucf101_lists())


def load(tree, path, side="train"):
    return ucf101.load(tree, SplitSpec(name="1", **{f"{side}_list": str(path)}))


@pytest.mark.parametrize("form", ["{name}.avi {label}", "UCF-101/{cls}/{name}.avi {label}\r"])
def test_a_list_replaces_the_training_set(ucf, tmp_path, form):
    official = ucf101.load(ucf, SplitSpec(name="1"))
    chosen = official.train[::7]
    lines = [
        form.format(name=c.id, label=c.label, cls=official.class_names[c.label]) for c in chosen
    ]
    path = tmp_path / "few.txt"
    path.write_text("\n".join(lines) + "\n", newline="")
    splits = load(ucf, path)
    assert splits.train == chosen
    assert splits.test == official.test


def test_a_list_is_found_beside_the_data_too(ucf):
    (ucf / "mine.txt").write_text("v_HammerThrow_g03_c01.avi 1\n")
    assert [clip.id for clip in load(ucf, "mine.txt").train] == ["v_HammerThrow_g03_c01"]


def test_a_line_is_split_on_its_last_space_and_keeps_odd_characters(tmp_path):
    path = tmp_path / "list.txt"
    names = ["#1 (a) & [b]_x.avi", "air drumming/x y.mp4", "a;b!c~d+e@f.avi", "dots.in.name.webm"]
    path.write_text("".join(f"{name} {k}\n" for k, name in enumerate(names)))
    assert [(e.expected, e.label) for e in read_list(path)] == list(
        zip(names, range(4), strict=True)
    )
    assert read_list(path)[3].id == "dots.in.name"


def test_the_frame_count_in_lists_of_extracted_frames_is_dropped(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("brush_hair/April_1 120 0\nbrush_hair/take 2.avi 3\n")
    assert [(e.id, e.label) for e in read_list(path)] == [("April_1", 0), ("take 2", 3)]


@pytest.mark.parametrize(
    "name",
    [
        "../secret.avi",
        "a/../../b.avi",
        "/etc/passwd",
        "http://example.org/a.avi",
        "concat:a.avi|b.avi",
        "file:///etc/passwd",
        "//server/share/a.avi",
        r"\\server\a.avi",
        r"C:\videos\a.avi",
    ],
)
def test_paths_that_leave_the_data_root_are_refused(ucf, tmp_path, name):
    path = tmp_path / "list.txt"
    path.write_text(f"{name} 0\n")
    with pytest.raises(DataError, match="data root"):
        load(ucf, path)


def test_official_lists_are_held_to_the_same_rule(tmp_path):
    lists = trees.hmdb51_lists()
    lists["climb"].append(("../../escape.avi", (2, 2, 2)))
    with pytest.raises(DataError, match="leaves the data root"):
        hmdb51.load(trees.hmdb51_tree(tmp_path / "h", lists), SplitSpec(name="1"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("v_HammerThrow_g03_c01.avi 2\n", "officially 1"),
        ("unknown.avi 101\n", "labels are 0 to 100"),
        ("v_HammerThrow_g03_c01.avi\n", "expected 'path label'"),
        ("v_HammerThrow_g03_c01.avi -1\n", "expected 'path label'"),
        ("\n\n", "no lines"),
    ],
)
def test_lists_that_cannot_be_right_are_refused(ucf, tmp_path, text, reason):
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=reason):
        load(ucf, path)


def test_a_list_that_is_nowhere_names_both_places(ucf):
    with pytest.raises(DataError, match=rf"none of absent\.txt, .*{ucf.name}/absent\.txt"):
        load(ucf, "absent.txt", side="test")


def test_k400_lists_may_name_clips_without_their_times(tmp_path):
    tree = trees.k400_tree(tmp_path / "k", trees.k400_lists())
    official = kinetics400.load(tree, SplitSpec()).test
    (tree / "val.txt").write_text("".join(f"{c.id[:11]}.mp4 {c.label}\n" for c in official))
    assert kinetics400.load(tree, SplitSpec(test_list="val.txt")).test == official
