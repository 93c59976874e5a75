"""The four datasets are read as they lie on disk, in every layout that people have."""

import random
import shutil
from pathlib import Path

import pytest
import standin_trees as trees

from zeroi2v_bench.datasets import hmdb51, kinetics400, ssv2, ucf101
from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.errors import DataError
from zeroi2v_bench.protocol import SplitSpec

FIRST, DEFAULT = SplitSpec(name="1"), SplitSpec()


@pytest.fixture(scope="module")
def hmdb(tmp_path_factory):
    return trees.hmdb51_tree(tmp_path_factory.mktemp("hmdb"), trees.hmdb51_lists())


@pytest.fixture(scope="module")
def ucf(tmp_path_factory):
    return trees.ucf101_tree(tmp_path_factory.mktemp("ucf"), trees.ucf101_lists())


def all_clips(splits):
    return (*splits.train, *splits.test)


@pytest.mark.parametrize("split", hmdb51.SPLITS)
def test_every_hmdb_clip_of_every_split_has_a_file(hmdb, split):
    splits = hmdb51.load(hmdb, SplitSpec(name=split))
    assert (len(splits.train), len(splits.test)) == (51 * 4, 51 * 2)
    assert all(Path(clip.path).is_file() for clip in all_clips(splits))
    assert all(Path(clip.path).stem == clip.id for clip in all_clips(splits))


def test_hmdb_classes_are_in_the_order_of_class_names_not_of_file_names(hmdb):
    names = hmdb51.load(hmdb, FIRST).class_names
    assert names == tuple(sorted(names))
    assert names.index("kick") + 1 == names.index("kick_ball")
    assert names.index("climb") + 1 == names.index("climb_stairs")
    files = sorted(p.name for p in (hmdb / hmdb51.PLACES[0]).glob("*_split1.txt"))
    assert files.index("kick_ball_test_split1.txt") < files.index("kick_test_split1.txt")


def test_a_label_is_the_class_of_the_folder(hmdb):
    splits = hmdb51.load(hmdb, FIRST)
    for clip in all_clips(splits):
        assert Path(clip.path).parent.name == splits.class_names[clip.label]


def test_folders_and_lists_may_lie_deeper(hmdb, tmp_path):
    trees.hmdb51_tree(tmp_path / "hmdb51", trees.hmdb51_lists(), videos="videos")
    assert hmdb51.load(tmp_path, FIRST).fingerprint == hmdb51.load(hmdb, FIRST).fingerprint


def test_the_order_of_lines_does_not_change_the_split(hmdb, tmp_path):
    lists = trees.hmdb51_lists()
    for rows in lists.values():
        random.Random(0).shuffle(rows)
    tree = trees.hmdb51_tree(tmp_path / "other", lists)
    assert hmdb51.load(tree, FIRST).fingerprint == hmdb51.load(hmdb, FIRST).fingerprint


def test_ucf_classes_are_in_the_order_of_the_index_file(ucf):
    names = ucf101.load(ucf, FIRST).class_names
    assert names[:4] == ("Hammering", "HammerThrow", "JumpingJack", "JumpRope")
    assert names != tuple(sorted(names))


@pytest.mark.parametrize("split", ucf101.SPLITS)
def test_ucf_groups_are_never_on_both_sides(ucf, split):
    splits = ucf101.load(ucf, SplitSpec(name=split))
    train, test = ({clip.group for clip in side} for side in (splits.train, splits.test))
    assert len(test) == 101
    assert not train & test
    assert "HammerThrow_g04" in train


def test_ucf_may_be_flat(ucf, tmp_path):
    flat = trees.ucf101_tree(tmp_path / "flat", trees.ucf101_lists(), flat=True)
    assert ucf101.load(flat, FIRST).fingerprint == ucf101.load(ucf, FIRST).fingerprint
    assert all(Path(c.path).parent.name == "UCF-101" for c in ucf101.load(flat, FIRST).test)


@pytest.mark.parametrize("suffix", [".webm", ".mp4"])
@pytest.mark.parametrize("new_names", [False, True])
def test_ssv2_is_read_with_both_generations_of_names(tmp_path, new_names, suffix):
    lists = trees.ssv2_lists()
    splits = ssv2.load(
        trees.ssv2_tree(tmp_path / "s", lists, new_names=new_names, suffix=suffix), DEFAULT
    )
    assert (len(splits.train), len(splits.test)) == (174 * 3, 174)
    assert splits.class_names[7] == "Putting something 007 next to something"
    assert {(c.id, c.label) for c in splits.test} == set(lists["validation"])
    assert all(Path(clip.path).is_file() for clip in all_clips(splits))


@pytest.mark.parametrize("six_columns", [False, True])
def test_k400_is_read_from_both_versions_of_the_csv(tmp_path, six_columns):
    tree = trees.k400_tree(tmp_path / "k", trees.k400_lists(), six_columns=six_columns)
    splits = kinetics400.load(tree, DEFAULT)
    assert (len(splits.train), len(splits.test)) == (1200, 400)
    assert splits.class_names == tuple(sorted(splits.class_names))
    assert all(Path(clip.path).is_file() for clip in all_clips(splits))


def test_k400_lists_in_mmaction_form_give_the_same_split(tmp_path):
    lists = trees.k400_lists()
    by_csv = kinetics400.load(trees.k400_tree(tmp_path / "csv", lists), DEFAULT)
    by_list = kinetics400.load(trees.mmaction_tree(tmp_path / "list", lists), DEFAULT)
    assert by_csv.fingerprint == by_list.fingerprint
    assert by_csv.class_names_hash == by_list.class_names_hash


def test_k400_clips_are_found_by_their_youtube_id_and_replacements_win(tmp_path):
    tree = trees.k400_tree(tmp_path / "k", trees.k400_lists())
    clips = kinetics400.load(tree, DEFAULT).test
    bare = tree / "val" / f"{clips[0].id[:11]}.mp4"
    Path(clips[0].path).rename(bare)
    replaced = tree / "replacement" / "replacement_for_corrupted_k400" / Path(clips[1].path).name
    replaced.parent.mkdir(parents=True)
    shutil.copy(clips[1].path, replaced)
    again = kinetics400.load(tree, DEFAULT).test
    assert [clip.path for clip in again[:2]] == [str(bare), str(replaced)]
    assert [clip.id for clip in again] == [clip.id for clip in clips]


def test_extracted_frames_are_taken_where_there_is_no_video(tmp_path):
    tree = trees.hmdb51_tree(tmp_path / "h", trees.hmdb51_lists())
    clip = hmdb51.load(tree, FIRST).test[5]
    folder = Path(clip.path).with_suffix("")
    folder.mkdir()
    (folder / "img_00001.jpg").touch()
    assert hmdb51.load(tree, FIRST).test[5].path == clip.path
    Path(clip.path).unlink()
    assert hmdb51.load(tree, FIRST).test[5].path == str(folder)


def test_a_missing_clip_stays_in_the_list_at_its_expected_place(tmp_path):
    tree = trees.ucf101_tree(tmp_path / "u", trees.ucf101_lists())
    before = ucf101.load(tree, FIRST)
    gone = before.test[3]
    Path(gone.path).unlink()
    after = ucf101.load(tree, FIRST)
    assert after.fingerprint == before.fingerprint
    assert after.test[3].path == gone.path


def test_an_error_without_any_media_says_where_it_looked(tmp_path):
    tree = trees.ucf101_tree(tmp_path / "u", trees.ucf101_lists())
    shutil.rmtree(tree / "UCF-101")
    with pytest.raises(DataError, match=r"none of its 1010 clips .*4 levels.*UCF-101/"):
        ucf101.load(tree, FIRST)


@pytest.mark.parametrize("name", ["hmdb51", "ucf101", "ssv2", "kinetics400"])
def test_without_a_folder_the_error_shows_the_tree_and_where_data_and_weights_are(
    name, monkeypatch
):
    monkeypatch.delenv("ZEROI2V_BENCH_DATA_ROOT", raising=False)
    with pytest.raises(DataError) as caught:
        find_dataset(name).load(None, FIRST)
    message = str(caught.value)
    assert find_dataset(name).TREE in message
    assert "ZEROI2V_BENCH_DATA_ROOT" in message
    assert "https://" in find_dataset(name).TREE
    assert "ViT-B-16-quickgelu" in message


def test_the_environment_variable_names_the_folder(hmdb, monkeypatch):
    monkeypatch.setenv("ZEROI2V_BENCH_DATA_ROOT", str(hmdb))
    assert len(hmdb51.load(None, FIRST).test) == 102


@pytest.mark.parametrize("name", ["hmdb51", "ucf101", "ssv2", "kinetics400"])
def test_missing_lists_name_every_place_that_was_looked_at(name, tmp_path):
    with pytest.raises(DataError) as caught:
        find_dataset(name).load(tmp_path, FIRST)
    assert str(caught.value).count(str(tmp_path)) >= 4
    assert str(tmp_path / name) in str(caught.value)


def test_a_class_too_few_is_refused(tmp_path):
    tree = trees.hmdb51_tree(tmp_path / "h", trees.hmdb51_lists(classes=50))
    with pytest.raises(DataError, match="50 classes, but the dataset has 51"):
        hmdb51.load(tree, FIRST)


def test_flips_swap_the_classes_whose_names_are_mirror_images():
    assert ssv2.FLIP_PAIRS == {86: 87, 87: 86, 93: 94, 94: 93, 166: 167, 167: 166}
    assert all(not module.FLIP_PAIRS for module in (hmdb51, ucf101, kinetics400))
