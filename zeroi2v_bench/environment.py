"""What a result was made with: machine, software and decoders."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from zeroi2v_bench import __version__
from zeroi2v_bench.errors import BenchError
from zeroi2v_bench.records import Environment

LIBRARIES = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "timm",
    "av",
    "decord",
    "torchcodec",
    "numpy",
    "scikit-learn",
)


def processor_name() -> str:
    """The processor as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def require_device(device: str) -> None:
    """Check that a device is there and can be used.

    Raises:
        BenchError: Its name is unknown, it is absent, or torch was built without it.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BenchError(f"device {device!r} cannot be used: {reason}") from error


def gpu_is_idle(device: str) -> bool:
    """Whether the device is the processor although a GPU could be used."""
    return device == "cpu" and torch.cuda.is_available()


def device_name(device: str) -> str:
    """The accelerator's own name, or the processor's."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return processor_name()


def describe_environment(device: str) -> Environment:
    """Package, interpreter, platform, device and library versions of this process."""
    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    return Environment(
        package=__version__,
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        device=f"{device}: {device_name(device)}",
        threads=torch.get_num_threads(),
        libraries=libraries,
    )
