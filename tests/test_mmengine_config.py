"""Configurations are read as data; nothing in their text runs."""

import pytest

from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.weights.mmengine_config import read_model_config


def test_literals_and_dict_calls_are_read():
    text = """
work_dir = get_dir() + '/x'
model = dict(
    type='R', backbone=dict(heads=12, scale=-0.5, cfg={'shift_div': 12, 'right': False}),
    flips=dict({86: 87}), mean=[1.5, 2], pair=(1, None))
"""
    assert read_model_config(text) == {
        "type": "R",
        "backbone": {"heads": 12, "scale": -0.5, "cfg": {"shift_div": 12, "right": False}},
        "flips": {86: 87},
        "mean": [1.5, 2],
        "pair": (1, None),
    }


def test_the_last_assignment_counts_as_it_would_in_python():
    assert read_model_config("model = dict(a=1)\nmodel = dict(a=2)") == {"a": 2}


@pytest.mark.parametrize(
    "value",
    [
        "dict(a=open('canary', 'w'))",
        "dict(a=__import__('os').system('touch canary'))",
        "dict(a=[x for x in (1,)])",
        "dict(a=other)",
        "dict(**other)",
        "{**other}",
        "dict(a=-'x')",
        "{[]: 1}",
        "dict(a=f'{1}')",
        "dict([('a', 1)])",
    ],
)
def test_anything_but_literals_is_refused_and_does_not_run(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError):
        read_model_config(f"model = {value}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["model = (", "x = 1", "model = 3", "a\0b", "(" * 500])
def test_text_without_a_model_is_refused(text):
    with pytest.raises(CheckpointError):
        read_model_config(text)
