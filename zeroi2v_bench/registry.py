"""Find methods and datasets by module name; the only place that imports by string.

Adding one is adding its file: there is no list to extend.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from zeroi2v_bench.errors import BenchError, UnknownNameError

if TYPE_CHECKING:
    from types import ModuleType


def names(kind: str) -> list[str]:
    """Names of all modules of a kind ("methods", "datasets", "backbones"), sorted.

    ``base`` modules and private ones (leading underscore) are not plug-ins.
    """
    package = importlib.import_module(f"zeroi2v_bench.{kind}")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if name != "base" and not name.startswith("_"))


def lookup(kind: str, name: str) -> ModuleType:
    """Import the module of that kind and name.

    A dotted name imports code from outside the package; callers accept one from the command
    line only, never from a file.

    Raises:
        UnknownNameError: No such module in this package.
        BenchError: A dotted name that cannot be imported.
    """
    if "." in name:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise BenchError(f"cannot import {kind[:-1]} {name!r}: {error}") from error
    if name not in names(kind):
        raise UnknownNameError(kind[:-1], name, names(kind))
    return importlib.import_module(f"zeroi2v_bench.{kind}.{name}")
