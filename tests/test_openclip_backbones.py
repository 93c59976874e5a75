"""open_clip's image towers, converted, give open_clip's own feature before its projection."""

import json

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from test_timm_backbones import images, perturb, relative_difference

from zeroi2v_bench.backbones import openclip_vit
from zeroi2v_bench.backbones.base import load_backbone
from zeroi2v_bench.errors import BackboneError, CheckpointError

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
VISION = {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Small models that open_clip knows by name: plain, QuickGELU, and with a tower of timm's."""
    folder = tmp_path_factory.mktemp("configs")
    tower = {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear"}
    config = {"embed_dim": 24, "vision_cfg": tower | {"image_size": 160}, "text_cfg": TEXT}
    (folder / "tiny-timm.json").write_text(json.dumps(config))
    for name, quick_gelu in (("tiny", False), ("tiny-quickgelu", True)):
        config = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": quick_gelu}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return "tiny-quickgelu"


def make_clip(name, size=None):
    return perturb(open_clip.create_model(name, force_image_size=size, pretrained_text=False))


@torch.no_grad()
def pooled(visual, pictures):
    if hasattr(visual, "trunk"):
        return visual.trunk(pictures)
    before_projection = torch.linalg.pinv(visual.proj.double())
    return (visual(pictures).double() @ before_projection).float()


def square_projection(clip):
    """Make the projection invertible, so that the feature before it can be read off."""
    width = clip.visual.proj.shape[0]
    clip.visual.proj = torch.nn.Parameter(torch.eye(width))
    return clip


@pytest.mark.parametrize(
    "vision",
    [
        {},
        {"patch_size": 32},
        {"no_ln_pre": True},
        {"ls_init_value": 0.1},
        {"pool_type": "avg"},
        {"pool_type": "avg", "final_ln_after_pool": True},
        {"act_kwargs": {"approximate": "tanh"}},
        {"norm_kwargs": {"eps": 1e-6}},
        {"pos_embed_type": "sin_cos_2d"},
    ],
)
@pytest.mark.parametrize("quick_gelu", [False, True])
def test_every_variant_of_the_tower_keeps_its_feature(vision, quick_gelu):
    if quick_gelu and "act_kwargs" in vision:
        pytest.skip("QuickGELU takes no arguments")
    clip = open_clip.CLIP(24, {**VISION, **vision}, TEXT, quick_gelu=quick_gelu)
    visual = square_projection(perturb(clip)).visual
    ours = openclip_vit.convert(visual, mean=(0,) * 3, std=(1,) * 3)
    assert relative_difference(ours, pooled(visual, images(64)), images(64)) < 2e-5


def test_a_siglip_tower_keeps_its_attention_pooled_feature():
    vision = {"timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"}
    clip = open_clip.CustomTextCLIP(64, {**vision, "image_size": 160}, TEXT)
    clip.visual.trunk.pool_include_prefix = False
    visual = perturb(clip).visual
    ours = openclip_vit.convert(visual, mean=(0,) * 3, std=(1,) * 3)
    assert relative_difference(ours, pooled(visual, images(160)), images(160)) < 2e-5
    projection = openclip_vit._projection(visual)
    assert torch.equal(projection, torch.eye(len(projection)))


def write_archive(state, path):
    """A TorchScript archive with OpenAI's names and its three settings."""

    class Holder(torch.nn.Module):
        pass

    class Root(Holder):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    root = Root()
    for name, value in state.items():
        owner, (*parents, leaf) = root, name.split(".")
        for parent in parents:
            if not hasattr(owner, parent):
                owner.add_module(parent, Holder())
            owner = getattr(owner, parent)
        owner.register_parameter(leaf, torch.nn.Parameter(value.half()))
    for name in openclip_vit.OPENAI_SETTINGS:
        root.register_buffer(name, torch.tensor(64))
    torch.jit.save(torch.jit.script(root), path)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_the_original_openai_archive_loads_as_data_and_needs_quickgelu(tiny, tmp_path):
    clip = square_projection(make_clip(tiny).half().float())
    state = clip.state_dict() | {"visual.proj": make_clip(tiny).state_dict()["visual.proj"]}
    write_archive(state, tmp_path / "ViT.pt")
    backbone = load_backbone(f"openclip:{tiny}/{tmp_path}/ViT.pt", image_size=64)
    assert relative_difference(backbone.model, pooled(clip.visual, images(64)), images(64)) < 2e-5
    with pytest.raises(BackboneError, match="-quickgelu"):
        load_backbone(f"openclip:tiny/{tmp_path}/ViT.pt", image_size=64)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pt"])
def test_a_local_file_is_read_and_its_positions_resampled_as_open_clip_does(tiny, suffix, tmp_path):
    state, path = make_clip(tiny).state_dict(), tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    model = load_backbone(f"openclip:{tiny}/{path}", image_size=96).model
    expected = open_clip.create_model(tiny, force_image_size=96)
    torch.save(state, tmp_path / "plain.pt")
    open_clip.load_checkpoint(expected, str(tmp_path / "plain.pt"))
    visual = square_projection(expected.eval()).visual
    assert relative_difference(model, pooled(visual, images(96)), images(96)) < 2e-5


def test_a_tower_of_timms_gets_its_positions_resampled_after_its_weights(tiny, tmp_path):
    clip = make_clip("tiny-timm")
    save_file(clip.state_dict(), tmp_path / "weights.safetensors")
    backbone = load_backbone(f"openclip:tiny-timm/{tmp_path}/weights.safetensors", image_size=96)
    clip.visual.set_input_size(96)
    expected = pooled(clip.visual, images(96))
    assert relative_difference(backbone.model, expected, images(96)) < 2e-5
    assert torch.equal(backbone.text.image_projection, clip.visual.head.proj.weight.T)


def test_the_text_encoder_and_the_projection_give_the_librarys_similarities(tiny, tmp_path):
    clip = make_clip(tiny)
    save_file(clip.state_dict(), tmp_path / "weights.safetensors")
    backbone = load_backbone(f"openclip:{tiny}/{tmp_path}/weights.safetensors", image_size=64)
    prompts = ["a photo of a cat.", "a photo of a dog."]
    with torch.no_grad():
        tokens = open_clip.get_tokenizer(tiny)(prompts)
        expected = clip(images(64), tokens)
        features = backbone.model.features(images(64)[:, :, None]) @ backbone.text.image_projection
    features = torch.nn.functional.normalize(features, dim=-1)
    torch.testing.assert_close(features, expected[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(backbone.text.encode(prompts), expected[1], atol=1e-5, rtol=0)
    assert backbone.text.logit_scale == pytest.approx(expected[2].item())


def test_random_weights_are_the_same_every_time_and_say_so(tiny):
    infos = [
        load_backbone(f"openclip:{tiny}", image_size=64, random_weights=True).info for _ in range(2)
    ]
    assert infos[0] == infos[1]
    assert infos[0].random_weights


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RN50", "ModifiedResNet"),
        ("coca_ViT-B-32", "AttentionalPooler"),
        ("EVA02-B-16", "Eva"),
        ("no-such-model", "has no 'no-such-model'"),
    ],
)
def test_models_that_do_not_fit_are_refused_with_the_part_that_does_not(name, reason):
    with pytest.raises(BackboneError, match=reason):
        load_backbone(f"openclip:{name}", image_size=224, random_weights=True)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("ViT-B-16", "--random-weights"),
        ("ViT-B-16/openai", "use the model ViT-B-16-quickgelu"),
        ("ViT-B-16/no_such_tag", "neither a file nor a tag"),
        ("ViT-B-16-quickgelu/openai", "--random-weights"),
    ],
)
def test_weights_that_are_missing_or_of_another_model_are_refused(spec, reason, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=reason):
        load_backbone(f"openclip:{spec}", image_size=224)


def test_files_of_another_model_and_unsafe_files_are_refused(tiny, tmp_path):
    torch.save({"visual.conv1.weight": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(BackboneError, match="does not fit"):
        load_backbone(f"openclip:{tiny}/{tmp_path}/other.pt", image_size=64)
    torch.save({"a": print}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="print"):
        load_backbone(f"openclip:{tiny}/{tmp_path}/bad.pt", image_size=64)


def test_normalisation_is_that_of_the_weights():
    assert openclip_vit._normalisation("ViT-B-16-SigLIP", "webli")[0] == (0.5, 0.5, 0.5)
    assert openclip_vit._normalisation("ViT-B-16", "openai")[0] == open_clip.OPENAI_DATASET_MEAN
