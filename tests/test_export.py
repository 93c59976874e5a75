"""Exported models are the library's own networks with the same weights, and the same logits."""

import json
import sys

import open_clip
import pytest
import timm
import torch
from published_zeroi2v import logits, make_config, make_state
from safetensors.torch import load_file
from test_zero_cost import SMALL, merged_and_plain

from zeroi2v_bench.backbones import openclip_vit
from zeroi2v_bench.checkpoints.export import export_model
from zeroi2v_bench.checkpoints.official import load_official
from zeroi2v_bench.checkpoints.saved import load_model, save_model
from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.merging import merge
from zeroi2v_bench.nn.from_timm import from_timm
from zeroi2v_bench.nn.video_vit import ViTConfig

TINY = {"width": 48, "depth": 2, "num_heads": 6, "mlp_width": 192, "patch_size": 16}
CFG = (
    "model = dict(backbone=dict(type='ViT_Zero_CLIP', heads=12, adapter_scale=0.5, num_tadapter=2,"
    " stdha_cfg=dict(shift_div=12, long_shift_div=12)), cls_head=dict(num_classes=7))"
)


@pytest.fixture(scope="module")
def small():
    _, merged, _ = merged_and_plain(SMALL, num_classes=5)
    return merged


def rebuild(visual_or_trunk, converter, path):
    """A video model from the library's network with exported weights, and the JSON beside."""
    tensors, about = load_file(path), json.loads(path.with_suffix(".json").read_text())
    head = {name: tensors.pop(f"head.{name}") for name in ("weight", "bias")}
    missing, unexpected = visual_or_trunk.load_state_dict(tensors, strict=False)
    assert set(missing) <= {"proj"}
    assert not unexpected
    model = converter(visual_or_trunk.eval(), mean=(0.5,) * 3, std=(0.5,) * 3)
    for block, offsets in zip(model.iter_blocks(), about["offsets"], strict=True):
        block.attn.set_offsets(tuple(offsets), parts=about["moved"], unit=about["unit"])
    model.temporal_embedding = torch.nn.Parameter(torch.tensor(about["temporal_embedding"]))
    model.head = torch.nn.Linear(len(head["weight"].T), len(head["weight"]))
    model.head.load_state_dict(head)
    return model.eval()


@torch.inference_mode()
def assert_same_logits(model, expected, video):
    torch.testing.assert_close(model(video), expected(video), atol=2e-5, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_a_published_file_keeps_its_logits_from_loading_to_every_export(tmp_path):
    config = make_config(stdha_cfg={"shift_div": 12, "long_shift_div": 12})
    state, video = make_state(config), torch.randn(3, 3, 5, 32, 32)
    torch.save({"meta": {"cfg": CFG}, "state_dict": state}, tmp_path / "published.pth")
    model = load_official(tmp_path / "published.pth")
    save_model(merge(model), tmp_path / "merged.safetensors")
    merged = load_model(tmp_path / "merged.safetensors")
    with torch.inference_mode():
        assert (merged(video).double() - logits(state, config, video)).abs().max() < 2e-5
    path, _ = export_model(merged, tmp_path / "clip.safetensors", format="open_clip")
    vision = {"image_size": 32, "layers": 2, "width": 48, "head_width": 4, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
    clip = open_clip.CLIP(8, vision, text, quick_gelu=True)
    assert_same_logits(rebuild(clip.visual, openclip_vit.convert, path), merged, video)
    path, _ = export_model(merged, tmp_path / "timm.safetensors", format="timm")
    trunk = timm.create_model(
        "vit_base_patch16_clip_quickgelu_224",
        img_size=32,
        embed_dim=48,
        depth=2,
        num_heads=12,
        num_classes=0,
    )
    assert_same_logits(rebuild(trunk, from_timm, path), merged, video)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("vit_base_patch16_224", {"patch_bias": True}),
        ("vit_base_patch16_siglip_224", {"class_token": False, "pool": "attention"}),
        ("vit_base_patch14_reg4_dinov2", {"register_tokens": 4, "layer_scale": True}),
        ("vit_base_patch16_reg4_gap_256", {"register_tokens": 4, "pool": "mean"}),
    ],
)
def test_every_family_goes_back_under_timms_names(name, config, tmp_path):
    options = {"img_size": 32, "patch_size": 16, "embed_dim": 48, "depth": 2, "num_heads": 6}
    trunk = timm.create_model(name, num_classes=0, mlp_ratio=4, **options)
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    shape = from_timm(trunk, mean=(0.5,) * 3, std=(0.5,) * 3).config
    assert {key: getattr(shape, key) for key in config} == config
    _, merged, _ = merged_and_plain(shape, num_classes=5)
    with torch.no_grad():
        positions = shape.num_tokens - trunk.pos_embed.shape[1]
        merged.position_embedding[:positions] = 0  # the library has none there
    path, _ = export_model(merged, tmp_path / "model.safetensors", format="timm")
    assert_same_logits(rebuild(trunk, from_timm, path), merged, torch.randn(2, 3, 8, 32, 32))


def test_onnx_runs_any_batch_and_gives_the_same_logits(small, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path, about = export_model(small, tmp_path / "model.onnx", format="onnx")
    assert json.loads(about.read_text())["class_names"] == list("01234")
    session = onnxruntime.InferenceSession(path)
    for batch in (1, 4):
        video = torch.randn(batch, 3, 8, 32, 32)
        (actual,) = session.run(None, {"video": video.numpy()})
        with torch.inference_mode():
            torch.testing.assert_close(torch.from_numpy(actual), small(video), atol=2e-5, rtol=0)


def test_onnx_without_its_packages_says_what_to_install(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CheckpointError, match=r"zeroi2v-bench\[onnx\]"):
        export_model(small, tmp_path / "model.onnx", format="onnx")


def test_a_model_with_adapters_is_refused(tmp_path):
    model, _, _ = merged_and_plain(SMALL)
    with pytest.raises(CheckpointError, match="merge it first"):
        export_model(model, tmp_path / "model.safetensors", format="timm")


def test_a_wrong_suffix_is_refused(small, tmp_path):
    with pytest.raises(CheckpointError, match=r"timm \(\.safetensors\)"):
        export_model(small, tmp_path / "model.pth", format="timm")


def test_a_network_that_open_clip_has_no_names_for_is_refused(tmp_path):
    shape = ViTConfig(image_size=32, activation="gelu", patch_bias=True, **TINY)
    _, merged, _ = merged_and_plain(shape)
    with pytest.raises(CheckpointError, match="patch embedding"):
        export_model(merged, tmp_path / "model.safetensors", format="open_clip")
