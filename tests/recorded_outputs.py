"""Recorded outputs of published code, compared with ours."""

import json

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from zeroi2v_bench.checkpoints.official import load_official


def assert_reproduced(fixtures, method, folder):
    """Logits within 2e-5, and the same trained tensors, for every recorded model of a method."""
    paths = sorted((fixtures / method).glob("*.safetensors"))
    assert paths
    for path in paths:
        tensors, metadata = load_file(path), safe_open(path, "pt").metadata()
        recorded = {n: tensors.pop(n) for n in list(tensors) if n.startswith("fixture.")}
        save_file(tensors, folder / path.name)
        config = json.loads(metadata["config"]) | {"method": method}
        model = load_official(folder / path.name, config)
        difference = (model(recorded["fixture.input"]) - recorded["fixture.logits"]).abs().max()
        assert difference < 2e-5
        tunable = {n: tensors[n].numel() for n in json.loads(metadata["tunable"])}
        ours = [p.numel() for p in model.parameters() if p.requires_grad]
        assert sorted(ours) == sorted(tunable.values())
