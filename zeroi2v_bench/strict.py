"""Strict parsing of what comes from outside: immutable models, YAML without doubled keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

try:  # ten times as fast
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

if TYPE_CHECKING:
    from pydantic import ValidationError

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Frozen(BaseModel):
    """Base of everything that is parsed from outside: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def first_problem(error: ValidationError) -> str:
    """One clear line out of a pydantic error: where, what came, what is legal."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "unknown key"
    value = problem.get("input")
    came = f" (got {value!r})" if isinstance(value, str | int | float | bool | None) else ""
    return f"{where}: {message}{came}" if where else f"{message}"


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        ValueError: Not valid YAML, or a key given twice; one line.
    """
    try:
        return yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


class _UniqueKeys(SafeLoader):
    """YAML in which a key given twice is an error, not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = next((key for key in keys if keys.count(key) > 1), None)
        if doubled is not None:
            raise yaml.YAMLError(f"key {doubled!r} is given twice, line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)
