"""timm's vision transformers, converted, give timm's own pooled feature."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from zeroi2v_bench.backbones.base import load_backbone
from zeroi2v_bench.errors import BackboneError, CheckpointError
from zeroi2v_bench.nn.from_timm import from_timm, refuse_misfit

FAMILIES = {
    "vit_base_patch16_224": "augreg: class token",
    "vit_large_patch16_224": "augreg: class token, 16 heads",
    "vit_base_patch14_dinov2": "DINOv2: LayerScale",
    "vit_base_patch14_reg4_dinov2": "DINOv2: registers, positions of patches only",
    "vit_base_patch16_siglip_224": "SigLIP: no class token, attention pooling",
    "vit_base_patch32_siglip_256": "SigLIP 2: tanh GELU",
    "vit_base_patch16_clip_quickgelu_224": "CLIP: QuickGELU, LayerNorm before the blocks",
    "vit_base_patch16_gap_224": "mean of patches after the LayerNorm",
    "vit_base_patch16_reg4_gap_256": "mean of patches before the LayerNorm",
    "deit3_base_patch16_224": "DeiT III: positions of patches only",
}
STATISTICS = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def perturb(model, seed=0):
    """Move every parameter, so that what starts at zero or one cannot hide."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def images(size):
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(7))


@torch.no_grad()
def relative_difference(ours, expected, pictures):
    features = ours.features(pictures[:, :, None])
    return ((features - expected).abs().max() / expected.std()).item()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_its_own_pooled_feature(name):
    size = 42 if "14" in name else 64
    trunk = perturb(timm.create_model(name, depth=2, num_classes=0, img_size=size))
    with torch.no_grad():
        expected = trunk(images(size))
    assert relative_difference(from_timm(trunk, **STATISTICS), expected, images(size)) < 2e-5


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_local_file_is_read_and_its_positions_resampled_as_timm_does(suffix, tmp_path):
    trunk = perturb(timm.create_model("test_vit", num_classes=0))
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(trunk.state_dict(), path)
    backbone = load_backbone(f"timm:test_vit/{path}", image_size=96)
    trunk.set_input_size((96, 96))
    with torch.no_grad():
        expected = trunk(images(96))
    assert backbone.model.config.image_size == 96
    assert relative_difference(backbone.model, expected, images(96)) < 2e-5
    assert not backbone.info.random_weights


def test_random_weights_are_the_same_every_time_and_say_so():
    state = torch.get_rng_state()
    infos = [
        load_backbone("timm:test_vit", image_size=32, random_weights=True).info for _ in range(2)
    ]
    assert infos[0] == infos[1]
    assert infos[0].random_weights
    assert torch.equal(state, torch.get_rng_state())


def test_normalisation_comes_with_the_model():
    backbone = load_backbone("timm:test_vit", image_size=32, random_weights=True)
    expected = timm.create_model("test_vit").pretrained_cfg
    assert backbone.model.config.mean == tuple(expected["mean"])
    assert backbone.model.config.std == tuple(expected["std"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vit_giant_patch14_dinov2", "GluMlp"),
        ("eva02_base_patch14_224", "Eva"),
        ("vit_base_patch16_18x2_224", "ParallelThingsBlock"),
        ("vit_base_patch16_rpn_224", "ResPostBlock"),
        ("vit_base_r50_s16_224", "HybridEmbed"),
        ("vit_dlittle_patch16_reg1_gap_256", "DiffAttention"),
        ("vit_base_patch16_radio_v3", "no LayerNorm after the last block"),
        ("beit3_base_patch16_224", r"attn\.norm"),
        ("test_vit4", "RmsNorm"),
        ("test_vit3", "pools over class and register tokens"),
    ],
)
def test_models_that_do_not_fit_are_refused_with_the_part_that_does_not(name, reason):
    with torch.device("meta"):
        trunk = timm.create_model(name, num_classes=0)
    with pytest.raises(BackboneError, match=reason):
        refuse_misfit(trunk)


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ({"qk_norm": True}, "q_norm"),
        ({"global_pool": "max"}, "'max'"),
        ({"pos_embed": "none"}, "no position embedding"),
        ({"img_size": (32, 64)}, "not square"),
    ],
)
def test_variants_that_do_not_fit_are_refused_too(keywords, reason):
    with torch.device("meta"):
        trunk = timm.create_model("vit_tiny_patch16_224", depth=1, **keywords)
    with pytest.raises(BackboneError, match=reason):
        refuse_misfit(trunk)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("timm:no_such_model", "has no model 'no_such_model'"),
        ("timm:resnet18", "image size"),
        ("timm:vit_base_patch16_clip_224.openai", "vit_base_patch16_clip_quickgelu_224.openai"),
    ],
)
def test_names_that_cannot_be_used_say_why(spec, reason):
    with pytest.raises(BackboneError, match=reason):
        load_backbone(spec, image_size=32, random_weights=True)


def test_a_missing_file_and_weights_of_another_model_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_backbone(f"timm:test_vit/{tmp_path}/missing.pth", image_size=32)
    torch.save({"blocks.0.attn.qkv.weight": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load_backbone(f"timm:test_vit/{tmp_path}/other.pth", image_size=32)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda state: state.pop("blocks.1.mlp.fc1.bias"),
            r"missing \['blocks\.1\.mlp\.fc1\.bias'",
        ),
        (
            lambda state: state.update({"blocks.9.norm1.bias": torch.ones(64)}),
            r"left over \['blocks",
        ),
        (lambda state: state.update({"mask": torch.ones(1)}), r"left over \['mask"),
        (
            lambda state: state.update({"patch_embed.proj.weight": torch.ones(64, 3, 8, 8)}),
            "patches of 8 pixels",
        ),
    ],
)
def test_a_file_that_fits_in_part_only_is_refused(change, reason, tmp_path):
    state = timm.create_model("test_vit", num_classes=3).state_dict()
    change(state)
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(BackboneError, match=reason):
        load_backbone(f"timm:test_vit/{tmp_path}/part.pth", image_size=160)


def test_without_weights_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match="--random-weights"):
        load_backbone("timm:test_vit", image_size=32)
