"""The package's imports go down only, and the fast commands never import torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import zeroi2v_bench

PACKAGE = Path(zeroi2v_bench.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
OWNERS = {
    "av": {"video.decode", "video.decode_pyav", "video.decode_others", "datasets.moving_digits"},
    "decord": {"video.decode_others"},
    "torchcodec": {"video.decode_others"},
    "open_clip": {"backbones.openclip_vit"},
    "timm": {"backbones.timm_vit"},
    "importlib.import_module": {"registry", "__init__", "cli.__init__", "video.decode_others"},
}
LAYERS = [
    {"errors", "types"},
    {"strict", "registry", "protocol", "records", "costs.cost_records", "distributed"},
    {"video", "nn", "datasets", "weights"},
    {"data", "backbones", "methods", "merging", "layouts"},
    {"checkpoints", "training", "evaluation", "environment"},
    {"costs", "recording", "progress"},
    {"runner", "sweep", "launching"},
    {"reports", "reproduction"},
    {"cli"},
]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def run_time_imports(path: Path) -> set[str]:
    """Modules imported anywhere in the file, except for type checking alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer_of(module: str) -> int | None:
    parts = module.split(".")
    for depth, layer in enumerate(LAYERS):
        if ".".join(parts[:2]) in layer:
            return depth
    for depth, layer in enumerate(LAYERS):
        if parts[0] in layer:
            return depth
    return None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_only(path):
    own = layer_of(name_of(path))
    for imported in run_time_imports(path):
        if own is None or not imported.startswith("zeroi2v_bench."):
            continue
        other = layer_of(imported.removeprefix("zeroi2v_bench."))
        assert other is None or other <= own, f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_siblings_never_import_each_other(path):
    kind, _, own = name_of(path).partition(".")
    if kind not in {"methods", "datasets", "backbones"} or own.startswith("_"):
        return
    for imported in run_time_imports(path):
        prefix = f"zeroi2v_bench.{kind}."
        sibling = imported.removeprefix(prefix).split(".")[0]
        assert not imported.startswith(prefix) or sibling == "base" or sibling.startswith("_"), (
            f"{name_of(path)} imports {imported}"
        )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_library_has_its_owner(path):
    for imported in run_time_imports(path):
        for library, owners in OWNERS.items():
            if imported == library or imported.startswith(f"{library}."):
                assert name_of(path) in owners, f"{name_of(path)} imports {imported}"


def test_no_public_function_is_hidden_by_a_module_of_its_name():
    assert not set(zeroi2v_bench.__all__) & {path.stem for path in PACKAGE.glob("*.py")}


def test_every_public_name_can_be_imported():
    for name in zeroi2v_bench.__all__:
        assert callable(getattr(zeroi2v_bench, name))


@pytest.mark.parametrize("arguments", [["list"], ["validate"], ["report"], ["--help"]])
def test_the_fast_commands_do_not_import_torch(arguments, tmp_path):
    (tmp_path / "results" / "local").mkdir(parents=True)
    code = (
        "import sys, contextlib\n"
        "from zeroi2v_bench.cli import main\n"
        f"with contextlib.suppress(SystemExit): main({arguments!r})\n"
        "sys.exit(3 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
