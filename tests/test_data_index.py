"""A scan sees every file once, survives what it meets, and is kept apart from the data."""

import json
import os
from pathlib import Path

import pytest
import standin_trees as trees
from click.testing import CliRunner
from filelock import FileLock

from zeroi2v_bench.cli import main
from zeroi2v_bench.data import data_index
from zeroi2v_bench.data.data_index import ClipInfo, build_index, index_path, load_index
from zeroi2v_bench.datasets import hmdb51
from zeroi2v_bench.errors import DataError
from zeroi2v_bench.protocol import SplitSpec


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Three classes; one clip each is empty, cut in half, missing and extra."""
    monkeypatch.setattr(hmdb51, "NUM_CLASSES", 3)
    root = trees.hmdb51_tree(tmp_path / "data", trees.hmdb51_lists(classes=3, train=2, test=1))
    test = [Path(clip.path) for clip in hmdb51.load(root, SplitSpec(name="1")).test]
    for path in test:
        path.unlink()
    test[0].touch()
    trees.write_video(root / "stray.avi", num_frames=40, side=96)
    content = (root / "stray.avi").read_bytes()
    test[1].write_bytes(content[: len(content) * 2 // 3])
    return root


def snapshot(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_scan_counts_decoded_frames_and_finds_what_is_bad(tree, tmp_path):
    before = snapshot(tree)
    found = build_index("hmdb51", tree, tmp_path / "results", workers=2)
    assert snapshot(tree) == before
    verdicts = {Path(path).name: info.verdict for path, info in found.items()}
    splits = hmdb51.load(tree, SplitSpec(name="1"))
    empty, cut, absent = (Path(clip.path).name for clip in splits.test)
    assert (verdicts.pop(empty), verdicts.pop(cut)) == ("unreadable", "damaged")
    assert absent not in verdicts
    assert set(verdicts.values()) == {"ok"}
    sound = found[splits.train[0].path]
    assert (sound.num_frames, sound.width, sound.height, sound.codec) == (12, 48, 48, "mpeg4")
    assert len(sound.sha256) == 64
    assert dict(load_index(tmp_path / "results", "hmdb51", tree)) == dict(found)


def test_a_changed_file_is_not_in_the_index_and_alone_is_scanned_again(tree, tmp_path, monkeypatch):
    found = build_index("hmdb51", tree, tmp_path)
    path = hmdb51.load(tree, SplitSpec(name="1")).train[0].path
    os.utime(path, ns=(1, 1))
    assert path not in load_index(tmp_path, "hmdb51", tree)
    scanned = []
    monkeypatch.setattr(data_index, "_scan", lambda paths, *_: scanned.extend(paths) or ())
    build_index("hmdb51", tree, tmp_path)
    linked = {p for p in found if os.path.samefile(p, path)}  # noqa: PTH121
    assert set(scanned) == linked


def test_a_scan_that_was_stopped_goes_on_where_it_was(tree, tmp_path, monkeypatch):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index("hmdb51", tree, tmp_path, advance=stop)
    partial = index_path(tmp_path, "hmdb51", tree).with_suffix(".part")
    assert not index_path(tmp_path, "hmdb51", tree).exists()
    with partial.open("a") as file:
        file.write('{"path": "half a li')
    seen = []
    build_index("hmdb51", tree, tmp_path, advance=lambda done, total: seen.append((done, total)))
    assert seen[0][0] == 3
    assert seen[-1] == (seen[0][1],) * 2
    assert not partial.exists()
    assert len(load_index(tmp_path, "hmdb51", tree)) == seen[-1][1]


def test_a_reader_that_fails_is_reported_and_tried_again(tree, tmp_path):
    build_index("hmdb51", tree, tmp_path)
    path = index_path(tmp_path, "hmdb51", tree)
    infos = [ClipInfo(**json.loads(line)) for line in path.read_text().splitlines()]
    failed = infos[0]._replace(verdict="failed", reason="no answer within 60 s")
    lines = [json.dumps(info._asdict()) for info in (failed, *infos[1:])]
    path.write_text("\n".join(lines))
    assert load_index(tmp_path, "hmdb51", tree)[failed.path].verdict == "failed"
    assert build_index("hmdb51", tree, tmp_path)[failed.path] == infos[0]


def test_clips_that_take_too_long_end_as_failed(tree, tmp_path, monkeypatch):
    three = set(sorted(data_index.media_of("hmdb51", tree)[0])[:3])
    monkeypatch.setattr(data_index, "media_of", lambda *_: (three, set()))
    found = build_index("hmdb51", tree, tmp_path, limit_s=1e-9)
    assert set(found) == three
    assert any("no answer within" in info.reason for info in found.values())


def test_only_what_cannot_be_written_is_called_that(tree, tmp_path):
    def broken_pipe(done, total):
        raise BrokenPipeError(32, "of the terminal")

    with pytest.raises(BrokenPipeError, match="of the terminal"):
        build_index("hmdb51", tree, tmp_path, advance=broken_pipe)
    partial = index_path(tmp_path, "hmdb51", tree).with_suffix(".part")
    partial.unlink(missing_ok=True)
    partial.mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        build_index("hmdb51", tree, tmp_path)


def test_two_scans_at_once_are_refused(tree, tmp_path):
    path = index_path(tmp_path, "hmdb51", tree)
    path.parent.mkdir()
    with (
        FileLock(path.with_suffix(".lock")),
        pytest.raises(DataError, match="another scan is writing it"),
    ):
        build_index("hmdb51", tree, tmp_path)


def test_index_and_check_say_what_is_wrong(tree, tmp_path):
    options = ("--dataset", "hmdb51", "--data-root", tree, "--results", tmp_path / "r")
    unscanned = run("data", "check", *options)
    assert "run `zeroi2v-bench data index`" in unscanned.stdout
    scanned = run("data", "index", *options, "--workers", 1)
    assert (scanned.exit_code, scanned.stderr) == (0, "")
    assert "1 damaged, 1 unreadable" in scanned.stdout
    checked = run("data", "check", *options)
    assert checked.exit_code == 1
    lines = checked.stdout.splitlines()
    for kind in ("1 missing", "1 unreadable", "1 damaged", "0 not scanned"):
        assert any(line.strip() == kind for line in lines)
    assert str(tree / "stray.avi") in checked.stdout
    assert "NOT the official counts, 3570 and 1530" in checked.stdout


def test_a_sound_split_passes_the_check(tmp_path, monkeypatch):
    monkeypatch.setattr(hmdb51, "NUM_CLASSES", 2)
    tree = trees.hmdb51_tree(tmp_path / "h", trees.hmdb51_lists(classes=2), videos="videos")
    options = ("--dataset", "hmdb51", "--data-root", tree, "--results", tmp_path / "r")
    assert run("data", "index", *options).exit_code == 0
    assert run("data", "check", *options, "--split", "2", "--all").exit_code == 0
    assert run("data", "check", *options, "--split", "9").exit_code == 2


def test_printed_lists_can_be_read_back(tmp_path):
    tree = trees.hmdb51_tree(tmp_path / "h", trees.hmdb51_lists())
    options = ("data", "splits", "--protocol", "fewshot_hmdb_2shot", "--data-root", tree)
    seeds = [line.split("lists ")[1].split(",")[0] for line in run(*options).stdout.splitlines()]
    assert len(seeds) == len(set(seeds)) == 5
    printed = run(*options, "--seed", 3, "--print", "train")
    assert len(printed.stdout.splitlines()) == 102
    (tree / "mine.txt").write_text(printed.stdout)
    again = run(*options, "--set", "splits.train_list=mine.txt", "--seed", 8)
    assert f"lists {seeds[3]}" in again.stdout
