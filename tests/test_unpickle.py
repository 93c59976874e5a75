"""Weights files are read as data: nothing in them runs, and what is refused is named."""

import builtins
import os
import pickle
import subprocess
import sys
import types
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.weights.weights_file import read_weights

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def save(path, content, zipped):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


class Call:
    """Unpickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def canary_calls(canary):
    touch = f"touch {canary}"
    return {
        "system": Call(os.system, touch),
        "eval": Call(builtins.eval, f"open({str(canary)!r}, 'w')"),
        "exec": Call(builtins.exec, f"open({str(canary)!r}, 'w')"),
        "open": Call(builtins.open, str(canary), "w"),
        "Popen": Call(subprocess.Popen, touch.split()),
        "getattr": Call(getattr, OrderedDict, "fromkeys"),
        "load": Call(torch.load, str(canary)),
        "runstring": Call(np.load, str(canary)),
        "__import__": Call(builtins.__import__, "os"),
        "_load_global_deps": Call(torch._load_global_deps),
    }


@FORMATS
@pytest.mark.parametrize("name", canary_calls("x"))
def test_a_file_that_would_run_code_is_refused_by_name(name, zipped, tmp_path):
    canary = tmp_path / "canary"
    call = canary_calls(canary)[name]
    path = save(tmp_path / "bad.pth", {"a": torch.ones(2), "b": call}, zipped)
    expected = "numpy.load" if name == "runstring" else name
    with pytest.raises(CheckpointError, match=rf"refused to load \S*{expected}"):
        read_weights(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    "name",
    ["torch.os.system", "numpy.core.os.system", "__torch__.os.system", "collections.abc.Mapping"],
)
def test_no_prefix_opens_the_door(name, tmp_path):
    module, _, attribute = name.rpartition(".")
    data = f"c{module}\n{attribute}\n.".encode()
    with zipfile.ZipFile(tmp_path / "bad.pth", "w") as file:
        file.writestr("bad/data.pkl", data)
    with pytest.raises(CheckpointError, match=f"refused to load {name}"):
        read_weights(tmp_path / "bad.pth")


@FORMATS
def test_tensors_of_every_kind_are_read_as_torch_reads_them(zipped, tmp_path):
    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "transposed": base.t(),
        "view": base[1:3, ::2],
        "tied": base,
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(7),
        "half": torch.ones(3).half(),
        "brain": torch.full((2,), 0.5).bfloat16(),
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        "flags": torch.tensor([True, False]),
    }
    found = read_weights(save(tmp_path / "a.pth", OrderedDict(tensors), zipped)).tensors
    for name, expected in tensors.items():
        assert found[name].dtype == expected.dtype
        assert torch.equal(found[name], expected.detach())


@FORMATS
@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrappers_and_the_prefix_of_parallel_training_are_taken_off(zipped, wrapper, tmp_path):
    content = {wrapper: {"module.a": torch.ones(1)}, "optimizer": {"state": {0: torch.ones(9)}}}
    assert list(read_weights(save(tmp_path / "a.pth", content, zipped)).tensors) == ["a"]


@FORMATS
def test_loss_histories_and_numpy_values_become_inert(zipped, tmp_path, monkeypatch):
    module = types.ModuleType("mmengine.logging.history_buffer")
    history = type("HistoryBuffer", (), {"__module__": module.__name__, "mean": len})
    module.HistoryBuffer = history
    for name in ("mmengine", "mmengine.logging", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    buffer = history()
    buffer.__dict__ |= {
        "log": np.ones(3),
        "last": np.float64(2),
        "mean": Call(getattr, history, "mean"),
    }
    content = {"state_dict": {"a": torch.ones(1)}, "message_hub": {"loss": buffer}}
    content["meta"] = {"cfg": "model = dict()", "seed": 3}
    path = save(tmp_path / "a.pth", content, zipped)
    found = read_weights(path)
    assert found.metadata["cfg"] == "model = dict()"
    assert list(found.tensors) == ["a"]


def test_a_torchscript_archive_is_read_as_data(tmp_path):
    class Inner(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)
            self.sizes = [1, 2]
            self.register_buffer("count", torch.tensor(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) + self.sizes[0]

    module = torch.nn.Sequential(Inner(), Inner().half())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript deprecated
        torch.jit.save(torch.jit.script(module), tmp_path / "a.pt")
    found = read_weights(tmp_path / "a.pt").tensors
    assert found.keys() == module.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in module.state_dict().items())


@FORMATS
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_cut_file_is_an_error_of_its_own_kind(share, zipped, tmp_path):
    path = save(tmp_path / "a.pth", {"a": torch.ones(5000)}, zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError):
        read_weights(path)


def test_a_compressed_archive_is_refused_before_it_can_grow(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", b"." * 10**6)
    with pytest.raises(CheckpointError, match="compressed"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("arguments", [(3, 0, (1,), (1,)), (None, 0, (1, 2), (1,))])
def test_a_tensor_without_a_storage_or_with_odd_strides_is_refused(arguments, tmp_path):
    call = Call(torch._utils._rebuild_tensor_v2, *arguments, False, OrderedDict())
    path = save(tmp_path / "a.pth", {"a": call}, True)
    with pytest.raises(CheckpointError, match="damaged tensor"):
        read_weights(path)


def test_a_tensor_that_reaches_outside_its_storage_is_refused(tmp_path):
    path = save(tmp_path / "a.pth", {"a": torch.ones(1000)}, True)
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data[:-4] if name.endswith("data/0") else data)
    with pytest.raises(CheckpointError, match="cut"):
        read_weights(path)


@pytest.mark.parametrize(
    "content",
    [{"a": 3}, {3: torch.ones(1)}, [torch.ones(1)], {}, torch.ones(1)],
    ids=["number", "key", "list", "empty", "tensor"],
)
def test_a_file_without_named_tensors_says_so(content, tmp_path):
    with pytest.raises(CheckpointError, match=r"tensor"):
        read_weights(save(tmp_path / "a.pth", content, True))


@pytest.mark.parametrize("data", [b"", b"hello", pickle.dumps(3)])
def test_other_files_are_refused(data, tmp_path):
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match=name):
            read_weights(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    for name in ("a.pth", "a.safetensors"):
        with pytest.raises(CheckpointError, match="no such file"):
            read_weights(tmp_path / name)
