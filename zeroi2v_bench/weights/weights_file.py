"""Named tensors from a weights file of any kind: safetensors, torch.save, TorchScript archive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.weights.archives import open_archive
from zeroi2v_bench.weights.unpickle import Record, StoredTensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

WRAPPERS = ("state_dict", "model")
"""Keys under which training programs keep the weights beside what else they save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """Tensors by name, and the plain values that the file says about them.

    ``is_script``: the file is a TorchScript archive.
    """

    tensors: dict[str, Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    is_script: bool = False


def read_weights(path: Path) -> WeightsFile:
    """Read a weights file without running anything in it.

    Args:
        path: ``.safetensors``, a file of ``torch.save`` (zip or legacy), or a TorchScript archive,
            whose parameters and buffers are read as data. A prefix ``module.`` on every name is
            dropped.

    Raises:
        CheckpointError: Missing, damaged, unsafe, or without named tensors.
    """
    found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)
    if not found.tensors:
        raise CheckpointError(f"{path}: no named tensors inside")
    if all(name.startswith("module.") for name in found.tensors):
        bare = {name.removeprefix("module."): value for name, value in found.tensors.items()}
        return replace(found, tensors=bare)
    return found


def _read_safetensors(path: Path) -> WeightsFile:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return WeightsFile(tensors=tensors, metadata=file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged safetensors file: {error}") from error


def _read_pickled(path: Path) -> WeightsFile:
    archive = open_archive(path)
    root = archive.root
    if isinstance(root, Record):
        named = dict(_flatten(root.state, ""))
    else:
        inner = [root[key] for key in WRAPPERS if isinstance(root, dict) and _is_dict(root, key)]
        named = _require_tensors(inner[0] if inner else root, path)
    meta = root.get("meta") if isinstance(root, dict) else None
    return WeightsFile(
        tensors={name: archive.read(stored) for name, stored in named.items()},
        metadata=meta if isinstance(meta, dict) else {},
        is_script=isinstance(root, Record),
    )


def _is_dict(root: dict[Any, Any], key: str) -> bool:
    return isinstance(root.get(key), dict)


def _flatten(state: Any, prefix: str) -> Iterator[tuple[str, StoredTensor]]:
    """Tensors of a TorchScript module and of its submodules, by dotted name."""
    for name, value in state.items() if isinstance(state, dict) else ():
        if isinstance(value, StoredTensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, Record):
            yield from _flatten(value.state, f"{prefix}{name}.")


def _require_tensors(state: Any, path: Path) -> dict[str, StoredTensor]:
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, not named tensors")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, StoredTensor):
            raise CheckpointError(f"{path}: {name!r} is a {type(value).__name__}, not a tensor")
    return state
