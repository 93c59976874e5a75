"""Every protocol file parses, names what exists, and carries the recipe it claims."""

import itertools

import pytest
import yaml

from zeroi2v_bench.cli.inspect import check_protocol
from zeroi2v_bench.datasets.base import find_dataset
from zeroi2v_bench.errors import BenchError, ProtocolError
from zeroi2v_bench.methods.base import parse_params
from zeroi2v_bench.protocol import load_protocol, override, protocol_dirs, protocol_names

NAMES = protocol_names()
B16, L14 = "openclip:ViT-B-16-quickgelu/openai", "openclip:ViT-L-14-quickgelu/openai"
NEAR, FAR = {-1: 1, 1: 1}, {-1: 1, 1: 1, -2: 1, 2: 1}
# protocol, backbone: heads, scale, dropout, epochs, batch, rate, multiplier, views
RELEASED = {
    ("full_k400_8f", B16): (NEAR, 0.5, 0.1, 40, 64, 3e-4, 1, (3, 1)),
    ("full_k400_8f", L14): ({-1: 2, 1: 2}, 0.5, 0.1, 40, 64, 3e-4, 0.1, (3, 1)),
    ("full_k400_32f", L14): ({-1: 2, 1: 2, -2: 2}, 0.5, 0.1, 40, 32, 1.5e-4, 0.1, (3, 1)),
    ("full_ssv2_16f", B16): (FAR, 1, 0, 50, 32, 3e-4, 1, (1, 3)),
    ("full_ssv2_32f", L14): (
        {-1: 2, 1: 2, -2: 1, 2: 1, -3: 1}, 1, 0.1, 50, 32, 1.5e-4, 0.1, (1, 3),
    ),
    ("full_hmdb_8f", B16): (NEAR, 0.5, 0.1, 40, 128, 3e-4, 1, (1, 3)),
    ("full_hmdb_32f", B16): (FAR, 0.5, 0.1, 40, 128, 3e-4, 1, (2, 3)),
    ("full_ucf_8f", B16): (NEAR, 0.5, 0.1, 40, 128, 3e-4, 1, (1, 3)),
    ("full_ucf_32f", B16): (FAR, 0.5, 0.1, 40, 128, 3e-4, 1, (1, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_is_valid(name):
    check_protocol(load_protocol(name))


def test_all_protocols_of_the_four_datasets_are_there():
    few = {f"fewshot_{d}_{k}shot" for d in ("hmdb", "ucf", "ssv2", "k400") for k in (2, 4, 8, 16)}
    full = {f"full_{d}_{f}f" for d, f in itertools.product(("hmdb", "ucf"), (8, 32))}
    full |= {f"full_{d}_{f}f" for d, f in itertools.product(("k400", "ssv2"), (8, 16, 32))}
    assert few | full <= set(NAMES)


def claims():
    for name, backbone in itertools.product(NAMES, (B16, L14)):
        protocol = load_protocol(name)
        for label in protocol.methods:
            if protocol.recipe_of(label, backbone) == "released":
                yield name, label, backbone


def test_released_is_claimed_for_released_pairs_of_zeroi2v_alone():
    assert {(name, backbone) for name, _, backbone in claims()} == set(RELEASED)
    assert {load_protocol(name).module_of(label) for name, label, _ in claims()} == {"zeroi2v"}


@pytest.mark.parametrize(("name", "label", "backbone"), list(claims()))
def test_what_claims_to_be_released_has_the_released_values(name, label, backbone):
    protocol = load_protocol(name)
    heads, scale, dropout, epochs, batch, rate, multiplier, views = RELEASED[name, backbone]
    params, optim = (
        parse_params("zeroi2v", protocol.spec_of(label).params),
        protocol.optim_of(label),
    )
    assert list(params.temporal_heads.items()) == list(heads.items())
    assert (params.adapter_scale, params.adapter_dropout) == (scale, dropout)
    assert (params.adapter_ratio, params.head_dropout, len(params.adapters)) == (0.25, 0.5, 4)
    assert (optim.epochs, optim.batch_size, optim.lr) == (epochs, batch, rate)
    assert (optim.backbone_lr_mult, optim.weight_decay) == (multiplier, 0.05)
    assert (optim.step_per, optim.warmup_epochs, optim.warmup_start) == ("epoch", 2.5, 0.1)
    assert (optim.betas, optim.final_lr, optim.grad_clip) == ((0.9, 0.999), 0, None)
    assert (protocol.views.clips, protocol.views.crops, protocol.views.short_side) == (*views, 224)


@pytest.mark.parametrize("name", sorted({name for name, _ in RELEASED}))
def test_released_augmentation_and_sampling(name):
    protocol = load_protocol(name)
    augment, frames = protocol.augment, int(name.rpartition("_")[2][:-1])
    ssv2 = protocol.dataset == "ssv2"
    assert protocol.sampling.num_frames == frames
    if protocol.dataset == "kinetics400":
        assert (protocol.sampling.kind, protocol.sampling.stride) == ("dense", 128 // frames)
    else:
        assert protocol.sampling.kind == "uniform"
    assert (augment.short_side, augment.crop, augment.area) == (256, "random_resized", (0.08, 1))
    rand = augment.rand_augment
    assert (rand.layers, rand.magnitude) == (4, 7)
    assert rand.when == ("after_crop" if ssv2 else "before_crop")
    assert augment.flip == 0.5
    assert protocol.optim.label_smoothing == (0.1 if ssv2 else 0)
    fill = {"ssv2": "const"}.get(protocol.dataset, "random" if name == "full_k400_32f" else None)
    assert (augment.erasing and (augment.erasing.probability, augment.erasing.fill)) == (
        fill and (0.25, fill)
    )


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "fewshot" in name and "digits" not in name]
)
def test_few_shot_protocols_have_one_view_of_32_frames_on_the_first_split(name):
    protocol = load_protocol(name)
    assert protocol.recipe == "ours"
    assert protocol.splits.shots == int(name.rpartition("_")[2].removesuffix("shot"))
    assert (protocol.sampling.kind, protocol.sampling.num_frames) == ("uniform", 32)
    assert (protocol.views.clips, protocol.views.crops) == (1, 1)
    assert protocol.splits.name == find_dataset(protocol.dataset).SPLITS[0]
    assert len(set(protocol.seeds)) >= 3
    assert protocol.splits.holdout == 0


def test_an_overridden_protocol_has_its_own_name_and_hash_and_claims_no_release():
    protocol = load_protocol("full_k400_8f")
    changed = override(protocol, {"sampling.num_frames": 4})
    assert changed.name == "full_k400_8f+sampling.num_frames=4"
    assert changed.hash != protocol.hash
    assert {changed.recipe_of(label, B16) for label in changed.methods} == {"ours"}
    assert protocol.recipe_of("zeroi2v", "digits") == "ours"


BROKEN = {
    "splits": {"name": "4", "shots": 2},
    "dataset": "kinetics",
    "seeds": [0, 0, 1],
    "backbone": "clip:ViT-B-16",
    "methods": {"zeroi2v": {"params": {"scale": 1}}},
    "sampling": {"kind": "uniform", "num_frames": 32, "stride": 4},
    "optimizer": {"lr": 1},
}


@pytest.mark.parametrize("key", BROKEN)
def test_a_protocol_that_names_what_does_not_exist_is_refused(tmp_path, key):
    source = protocol_dirs()[0] / "fewshot_hmdb_2shot.yaml"
    content = yaml.safe_load(source.read_text()) | {key: BROKEN[key]}
    path = tmp_path / source.name
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(BenchError, match=r"fewshot_hmdb_2shot|kinetics400"):
        check_protocol(load_protocol(str(path)))


def test_views_smaller_than_a_crop_are_refused_when_the_protocol_is_changed():
    protocol = load_protocol("full_k400_8f")
    with pytest.raises(
        ProtocolError, match=r"views\.short_side=223 is below image_size=224.*legal"
    ):
        override(protocol, {"views.short_side": 223})
    for legal in (None, 224, 256):
        assert override(protocol, {"views.short_side": legal}).views.short_side == legal


def test_a_protocol_cannot_have_the_name_of_the_folder_of_costs(tmp_path):
    source = protocol_dirs()[0] / "full_digits.yaml"
    path = tmp_path / "costs.yaml"
    path.write_text(source.read_text().replace("name: full_digits", "name: costs"))
    with pytest.raises(ProtocolError, match="cannot be named 'costs'"):
        load_protocol(str(path))


def test_a_key_given_twice_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: x\nversion: 1\nname: x\n")
    with pytest.raises(ProtocolError, match="key 'name' is given twice"):
        load_protocol(str(path))
