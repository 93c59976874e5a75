"""Read PyTorch's pickled files without running anything that is in them.

A pickle names functions and classes, and unpickling calls them. Here a name is looked up in one
table of exact names, never imported, and what it stands for belongs to this module: tensors become
`StoredTensor` descriptions, everything else that a checkpoint carries (loss histories, numpy
scalars) becomes an inert `Record`. A name outside the table is an error that says which.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import torch
from torch import Tensor

from zeroi2v_bench.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


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


class Archive(Protocol):
    """An opened file: the unpickled object, and its tensors on demand."""

    root: Any

    def read(self, stored: StoredTensor) -> Tensor:
        """The tensor, on the CPU, with memory of its own."""
        ...


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
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": self._parameter,
            "builtins.getattr": self._attribute,
            "__builtin__.getattr": self._attribute,
        }
        inert = INERT_CALLS | SCRIPT_CALLS if self.script else INERT_CALLS
        return calls | dict.fromkeys(inert, self._inert)

    def _tensor(
        self, storage: Storage, offset: int, size: Any, stride: Any, *_: Any
    ) -> StoredTensor:
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


def _unpickle(file: BinaryIO, where: str, *, script: bool = False) -> tuple[Any, _Unpickler]:
    reader = _Unpickler(file, where, script=script)
    try:
        return reader.load(), reader
    except CheckpointError:
        raise
    except Exception as error:  # a hostile or cut pickle can raise anything
        raise CheckpointError(f"{where}: damaged pickle: {error}") from error


@dataclass
class ZipArchive:
    """The format that torch.save writes since 1.6, and TorchScript archives as plain data."""

    path: Path
    root: Any = field(init=False)

    def __post_init__(self) -> None:
        try:
            self._zip = zipfile.ZipFile(self.path)
            names = self._zip.namelist()
            pickles = [n for n in names if n.count("/") == 1 and n.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise CheckpointError(f"{self.path}: not a PyTorch file: no single data.pkl inside")
            self._folder = pickles[0].partition("/")[0]
            data = self._zip.read(pickles[0])
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            raise CheckpointError(f"{self.path}: damaged file: {error}") from error
        if f"{self._folder}/byteorder" in names and self._read("byteorder") != b"little":
            raise CheckpointError(f"{self.path}: written on a big-endian machine; not supported")
        script = f"{self._folder}/constants.pkl" in names
        self.root, _ = _unpickle(io.BytesIO(data), str(self.path), script=script)

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(f"{self._folder}/{name}")
        except (KeyError, zipfile.BadZipFile, OSError, RuntimeError) as error:
            raise CheckpointError(f"{self.path}: cannot read {name}: {error}") from error

    def read(self, stored: StoredTensor) -> Tensor:
        """See `Archive.read`."""
        return view_bytes(self._read(f"data/{stored.storage.key}"), stored, str(self.path))


@dataclass
class LegacyArchive:
    """The format that torch.save wrote before 1.6: pickles, then the storages one by one."""

    path: Path
    root: Any = field(init=False)

    def __post_init__(self) -> None:
        where = str(self.path)
        with self.path.open("rb") as file:
            magic, _ = _unpickle(file, where)
            if magic != LEGACY_MAGIC:
                raise CheckpointError(f"{where}: neither a PyTorch nor a safetensors file")
            protocol, _ = _unpickle(file, where)
            system, _ = _unpickle(file, where)
            if (
                protocol != LEGACY_PROTOCOL
                or not isinstance(system, dict)
                or not system.get("little_endian")
            ):
                raise CheckpointError(f"{where}: unsupported legacy format (protocol {protocol})")
            self.root, reader = _unpickle(file, where)
            keys, _ = _unpickle(file, where)
            self._starts = _legacy_starts(file, keys, reader.storages, where)

    def read(self, stored: StoredTensor) -> Tensor:
        """See `Archive.read`."""
        storage = stored.storage
        with self.path.open("rb") as file:
            file.seek(self._starts[storage.key])
            data = file.read(storage.num_elements * storage.dtype.itemsize)
        return view_bytes(data, stored, str(self.path))


def _legacy_starts(
    file: BinaryIO, keys: Any, storages: dict[str, Storage], where: str
) -> dict[str, int]:
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise CheckpointError(f"{where}: damaged file: its storages are not those of its tensors")
    starts = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little", signed=True)
        if count != storages[key].num_elements:
            raise CheckpointError(f"{where}: damaged file: storage {key} has {count} elements")
        starts[key] = file.tell()
        file.seek(count * storages[key].dtype.itemsize, io.SEEK_CUR)
    return starts


def view_bytes(data: bytes, stored: StoredTensor, where: str) -> Tensor:
    """The tensor that lies in a storage's bytes.

    Raises:
        CheckpointError: It reaches outside them.
    """
    size, dtype = stored.size, stored.storage.dtype
    if min((stored.offset, *size, *stored.stride), default=0) < 0:
        raise CheckpointError(f"{where}: damaged file: a tensor of shape {size}")
    if 0 in size:
        return torch.empty(size, dtype=dtype)
    last = stored.offset + sum((n - 1) * step for n, step in zip(size, stored.stride, strict=True))
    count = len(data) // dtype.itemsize
    if last >= count or prod(size) > count:
        raise CheckpointError(f"{where}: damaged file: a tensor of shape {size} is cut")
    flat = torch.frombuffer(bytearray(data), dtype=dtype, count=count)
    return flat.as_strided(size, stored.stride, stored.offset).contiguous()


def open_archive(path: Path) -> Archive:
    """Open a pickled PyTorch file of either format, by its content.

    Raises:
        CheckpointError: Missing, damaged, or with a name that is not allowed; the message says it.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    return ZipArchive(path) if zipfile.is_zipfile(path) else LegacyArchive(path)
