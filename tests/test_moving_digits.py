"""The laws that make moving_digits a benchmark with a known answer."""

import json
import multiprocessing

import numpy as np
import pytest

from zeroi2v_bench.datasets import moving_digits as md
from zeroi2v_bench.errors import DataError
from zeroi2v_bench.protocol import SplitSpec
from zeroi2v_bench.video.decode import decode_all

PAIRS = [(0, 1), (2, 3), (4, 5), (6, 7)]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The dataset, reduced to a few clips of each class, built once."""
    root = tmp_path_factory.mktemp("cache") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(md, "TRAIN_PER_CLASS", 2)
        patch.setattr(md, "TEST_PER_CLASS", 2)
        yield md.load(root, SplitSpec())


def test_every_test_clip_has_its_exact_reversal_as_a_file_of_the_partner_class(digits):
    by_id = {clip.id: clip for clip in digits.test}
    originals = [clip for clip in digits.test if not clip.id.endswith("_reversed")]
    assert 2 * len(originals) == len(digits.test)
    for clip in originals:
        name = digits.class_names[clip.label ^ 1].replace(" ", "_")
        twin = by_id[f"v{md.VERSION}/test/{name}/{clip.id[-3:]}_reversed"]
        assert twin.label == clip.label ^ 1
        frames, _ = decode_all(clip.path)
        backwards, _ = decode_all(twin.path)
        assert np.array_equal(frames[::-1], backwards)


def test_files_decode_to_what_was_drawn(digits):
    spec = md.Spec("test", 3, 1, False)
    frames, info = decode_all(spec.to_clip(md.Path(digits.test[0].path).parents[2]).path)
    drawn = md.draw_clip(spec)
    assert (info.codec, info.num_frames, info.damaged) == ("h264", md.NUM_FRAMES, False)
    # Limited-range YUV keeps 219 of 256 levels: off by one after lossless coding.
    assert np.abs(frames.astype(int) - drawn[..., None]).max() <= 1


def test_training_and_test_digits_are_disjoint():
    train, test = (md.scenes.digit_images(side)[0] for side in ("train", "test"))
    assert len(train) + len(test) == 1797
    assert not {g.tobytes() for g in train} & {g.tobytes() for g in test}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_single_frame_with_its_time_index_does_not_tell_the_direction(pair):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    def frames_of(side, count):
        clips = [md.draw_clip(md.Spec(side, k, i, False)) for k in pair for i in range(count)]
        pixels = np.stack(clips)[..., ::4, ::4] / 255.0  # (M, T, 16, 16)
        moments = pixels.reshape(*pixels.shape[:2], -1)
        time = np.broadcast_to(np.eye(md.NUM_FRAMES), (len(clips), md.NUM_FRAMES, md.NUM_FRAMES))
        features = np.concatenate([moments, time], -1).reshape(-1, 256 + md.NUM_FRAMES)
        return features, np.repeat(np.repeat(pair, count), md.NUM_FRAMES)

    train, labels = frames_of("train", 60)
    test, answers = frames_of("test", 60)
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(C=1e-3, max_iter=500).fit(scaler.transform(train), labels)
    right = (model.predict(scaler.transform(test)) == answers).reshape(2, 60, -1).mean((0, 2))
    # 60 independent clips a class: the mean over clips has a standard error of at most 0.065.
    assert abs(right.mean() - 0.5) < 0.2


def test_the_moving_state_has_the_same_distribution_in_every_frame():
    rng = np.random.default_rng(0)
    phase, speed = rng.uniform(size=20000), rng.uniform(*md.SPEEDS, size=20000)
    for frame in range(md.NUM_FRAMES):
        for direction in (-1, 1):
            counts, _ = np.histogram((phase + direction * speed * frame) % 1, 10, (0, 1))
            assert abs(counts / 2000 - 1).max() < 0.1


def test_a_file_of_another_size_is_found(digits, tmp_path):
    root = tmp_path / "digits"
    root.mkdir()
    (root / "manifest.json").write_text(json.dumps({"test/grows/000": 5}))
    with pytest.raises(DataError, match="delete it to have it built again"):
        md.check(root)


def test_a_folder_of_something_else_is_named_and_never_called_damaged(tmp_path):
    (tmp_path / "some.avi").touch()
    with pytest.raises(DataError, match="is no moving_digits folder; leave") as told:
        md.load(tmp_path, SplitSpec())
    assert "delete" not in str(told.value)


@pytest.mark.parametrize("side", ["train_list", "test_list"])
def test_list_files_are_refused(tmp_path, side):
    with pytest.raises(DataError, match="moving_digits takes no list files"):
        md.load(tmp_path / "new", SplitSpec(**{side: "mine.txt"}))
    assert not (tmp_path / "new").exists()


def _build_small(root):
    md.TRAIN_PER_CLASS = md.TEST_PER_CLASS = 1
    md.build(root)


def test_two_processes_that_build_at_once_do_no_harm(tmp_path):
    root = tmp_path / "cache" / "digits"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".digits.part-killed").mkdir()
    context = multiprocessing.get_context("spawn")
    builders = [context.Process(target=_build_small, args=(root,)) for _ in range(2)]
    for process in builders:
        process.start()
    for process in builders:
        process.join()
    assert [process.exitcode for process in builders] == [0, 0]
    md.check(root)
    assert not list(root.parent.glob(".digits.part-*"))


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot build moving_digits in"):
        md.build(tmp_path / "file" / "digits")
