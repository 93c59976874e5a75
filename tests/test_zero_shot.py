"""Zero-shot classes are made of words, whatever way a dataset writes them."""

import pytest
import torch
import torch.nn.functional as F

from zeroi2v_bench.backbones.base import Backbone
from zeroi2v_bench.errors import BackboneError, ProtocolError
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.methods.zero_shot import phrase_of
from zeroi2v_bench.types import Task

TASK = Task(num_frames=2, class_names=("brush_hair", "ApplyLipstick", "riding a bike"))


class RecordingText:
    """Embeds a prompt by its characters, and remembers what it was asked."""

    logit_scale = 7.0

    def __init__(self):
        self.image_projection = torch.randn(24, 5)
        self.asked = []

    def encode(self, prompts):
        self.asked += prompts
        rows = [[1.0 + sum(map(ord, p[i::5])) % 11 for i in range(5)] for p in prompts]
        return F.normalize(torch.tensor(rows), dim=-1)


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("ApplyEyeMakeup", "Apply Eye Makeup"),
        ("YoYo", "Yo Yo"),
        ("shake_hands", "shake hands"),
        ("playing guitar", "playing guitar"),
        ("Putting [something] on [something]", "Putting something on something"),
    ],
)
def test_class_names_become_words(name, phrase):
    assert phrase_of(name) == phrase


def test_logits_are_scaled_cosines_with_the_mean_of_each_class_prompts(tiny_backbone):
    text = RecordingText()
    backbone = Backbone(model=tiny_backbone.model, info=tiny_backbone.info, text=text)
    templates = ["a photo of {}.", "a video of {}."]
    model = adapt("zero_shot", backbone, TASK, {"templates": templates})
    assert text.asked[:3] == [f"a photo of {p}." for p in map(phrase_of, TASK.class_names)]
    video = torch.randn(2, 3, 2, 16, 16)
    feature = tiny_backbone.model.features(video) @ text.image_projection
    for column, name in enumerate(TASK.class_names):
        prompts = text.encode([t.format(phrase_of(name)) for t in templates])
        expected = 7.0 * F.cosine_similarity(feature, prompts.mean(0)[None])
        torch.testing.assert_close(model(video)[:, column], expected)
    assert not any(p.requires_grad for p in model.parameters())
    assert model.recipe.params == {"templates": templates}


def test_a_backbone_without_text_is_refused_by_name(tiny_backbone):
    with pytest.raises(BackboneError, match="zero_shot needs a text encoder, and tiny has none"):
        adapt("zero_shot", tiny_backbone, TASK, {})


def test_a_template_without_a_place_for_the_name_is_refused(tiny_backbone):
    with pytest.raises(ProtocolError, match="exactly one"):
        adapt("zero_shot", tiny_backbone, TASK, {"templates": ["a photo"]})
