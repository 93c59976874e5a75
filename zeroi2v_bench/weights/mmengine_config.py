"""The model in an mmengine configuration, read from its Python text without executing it."""

from __future__ import annotations

import ast
from typing import Any

from zeroi2v_bench.errors import CheckpointError


def read_model_config(text: str) -> dict[str, Any]:
    """The value of ``model = dict(...)``.

    Only literals and ``dict(key=value)`` are understood; anything else in it is refused, and what
    stands outside it is not looked at.

    Raises:
        CheckpointError: Not Python, no such assignment, or more than literals in it.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"the file's configuration is not Python text: {error}") from error
    for node in reversed(body):
        if isinstance(node, ast.Assign) and _names(node) == ["model"]:
            try:
                value = _literal(node.value)
            except (TypeError, RecursionError) as error:  # a list as a key; nested too deep
                raise CheckpointError(f"the file's configuration: {error}") from error
            if isinstance(value, dict):
                return value
    raise CheckpointError("the file's configuration has no `model = dict(...)`")


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items):
            return [_literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_literal(item) for item in items)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_literal(k): _literal(v) for k, v in zip(keys, values, strict=True) if k}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=pairs) if all(
            pair.arg for pair in pairs
        ):
            return {pair.arg: _literal(pair.value) for pair in pairs}
        case ast.Call(func=ast.Name(id="dict"), args=[ast.Dict() as inner], keywords=[]):
            return _literal(inner)
    raise CheckpointError(
        f"the file's configuration is more than literals: {ast.unparse(node)[:80]!r}"
    )
