"""PyTorch's two pickled file formats: an object, and the tensors in it on demand."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import torch
from torch import Tensor

from zeroi2v_bench.errors import CheckpointError
from zeroi2v_bench.weights.unpickle import Storage, StoredTensor, unpickle

if TYPE_CHECKING:
    from pathlib import Path

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


class Archive(Protocol):
    """An opened file: the unpickled object, and its tensors on demand."""

    root: Any

    def read(self, stored: StoredTensor) -> Tensor:
        """The tensor, on the CPU, with memory of its own."""
        ...


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
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise CheckpointError(f"{self.path}: damaged file: {error}") from error
        self._folder = pickles[0].partition("/")[0]
        if f"{self._folder}/byteorder" in names and self._read("byteorder") != b"little":
            raise CheckpointError(f"{self.path}: written on a big-endian machine; not supported")
        script = f"{self._folder}/constants.pkl" in names
        data = io.BytesIO(self._read("data.pkl"))
        self.root, _ = unpickle(data, str(self.path), script=script)

    def _read(self, name: str) -> bytes:
        try:
            entry = self._zip.getinfo(f"{self._folder}/{name}")
            if entry.compress_type != zipfile.ZIP_STORED:
                raise CheckpointError(f"{self.path}: {name} is compressed; torch.save never does")
            return self._zip.read(entry)
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
            magic, _ = unpickle(file, where)
            if magic != LEGACY_MAGIC:
                raise CheckpointError(f"{where}: neither a PyTorch nor a safetensors file")
            protocol, _ = unpickle(file, where)
            system, _ = unpickle(file, where)
            if (
                protocol != LEGACY_PROTOCOL
                or not isinstance(system, dict)
                or not system.get("little_endian")
            ):
                raise CheckpointError(f"{where}: unsupported legacy format (protocol {protocol})")
            self.root, storages = unpickle(file, where)
            keys, _ = unpickle(file, where)
            self._starts = _legacy_starts(file, keys, storages, where)

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
