"""Unpickle what PyTorch saved without running anything that is in it.

A pickle names functions and classes, and unpickling calls them. Here a name is looked up in one
table of exact names, never imported, and what it stands for belongs to this module: tensors become
`StoredTensor` descriptions, everything else that a checkpoint carries (loss histories, numpy
scalars) becomes an inert `Record`. A name outside the table is an error that says which.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from zeroi2v_bench.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

DTYPES: dict[str, torch.dtype] = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    "torch.float64": torch.float64,
    "torch.float32": torch.float32,
    "torch.float16": torch.float16,
    "torch.bfloat16": torch.bfloat16,
    "torch.int64": torch.int64,
}
INERT_TYPES = frozenset(
    {
        "mmengine.logging.history_buffer.HistoryBuffer",
        "numpy.ndarray",
        "numpy.dtype",
        "torch.device",
    }
)
INERT_CALLS = frozenset(
    {
        "_codecs.encode",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
    }
)
SCRIPT_CALLS = frozenset(
    {
        "torch.jit._pickle.build_boollist",
        "torch.jit._pickle.build_doublelist",
        "torch.jit._pickle.build_intlist",
        "torch.jit._pickle.build_tensorlist",
        "torch.jit._pickle.restore_type_tag",
    }
)


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers in the file."""

    key: str
    dtype: torch.dtype
    num_elements: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A view of a storage; it costs nothing until it is read."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Record:
    """What stands for any other object: it keeps its state and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    """Looks names up in tables instead of importing them.

    Everything a pickle can get hold of is made anew for each file or immutable, so that a state
    it attaches to a name cannot outlive the load.
    """

    def __init__(self, file: BinaryIO, where: str, *, script: bool = False) -> None:
        super().__init__(file, encoding="utf-8")
        self.where = where
        self.script = script
        self.record: type[Record] = type("Record", (Record,), {})
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in DTYPES:
            return DTYPES[full]
        # TorchScript's own types carry generated names. They name no Python object and nothing is
        # looked up for them; outside such an archive they are refused like any other.
        if full in INERT_TYPES or (self.script and module.partition(".")[0] == "__torch__"):
            return self.record
        known = self._calls().get(full)
        if known is None:
            raise CheckpointError(
                f"{self.where}: refused to load {full}: it is not on the list of names that a "
                "checkpoint needs, and loading it could run code from the file"
            )
        return known

    def _calls(self) -> dict[str, Callable[..., Any]]:
        calls: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": OrderedDict,
            "torch.Size": tuple,
            "torch._utils._rebuild_tensor_v2": partial(self._tensor),
            "torch._utils._rebuild_parameter": partial(self._parameter),
            "builtins.getattr": partial(self._attribute),
            "__builtin__.getattr": partial(self._attribute),
        }
        inert = INERT_CALLS | SCRIPT_CALLS if self.script else INERT_CALLS
        return calls | dict.fromkeys(inert, partial(self._inert))

    def _tensor(
        self, storage: Storage, offset: int, size: Any, stride: Any, *_: Any
    ) -> StoredTensor:
        if not isinstance(storage, Storage) or len(size) != len(stride):
            raise CheckpointError(f"{self.where}: damaged tensor")
        return StoredTensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))

    def _parameter(self, data: StoredTensor, *_: Any) -> StoredTensor:
        return data

    def _inert(self, *_: Any) -> Record:
        return self.record()

    def _attribute(self, owner: Any, name: str) -> Record:
        # mmengine's HistoryBuffer pickles its own methods this way; nothing is looked up.
        if owner is not self.record:
            raise CheckpointError(f"{self.where}: refused to load builtins.getattr of {owner!r}")
        return self._inert()

    def persistent_load(self, pid: Any) -> Storage:
        match pid:
            case ("storage", torch.dtype() as dtype, str(key), str(), int(count), *_):
                return self.storages.setdefault(key, Storage(key, dtype, count))
        raise CheckpointError(f"{self.where}: refused a persistent id that is not a storage")


def unpickle(file: BinaryIO, where: str, *, script: bool = False) -> tuple[Any, dict[str, Storage]]:
    """One object from a file, and the storages that its tensors lie in.

    Args:
        file: Opened for reading; it is left behind the object's end.
        where: The file's name, for messages.
        script: The pickle is a TorchScript archive's.

    Raises:
        CheckpointError: A name that is not allowed, or a damaged pickle.
    """
    reader = _Unpickler(file, where, script=script)
    try:
        return reader.load(), reader.storages
    except CheckpointError:
        raise
    except Exception as error:  # a hostile or cut pickle can raise anything
        raise CheckpointError(f"{where}: damaged pickle: {error}") from error
