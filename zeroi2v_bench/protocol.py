"""Protocol files: one YAML each, data only, parsed strictly.

A protocol says what is trained on, how clips are sampled and augmented, how the optimiser runs
and how the test clips are viewed. It imports nothing and inherits from nothing; an unknown key is
an error. ``Protocol.hash`` covers every field that can move a number.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from zeroi2v_bench.errors import ProtocolError, UnknownNameError
from zeroi2v_bench.records import COSTS
from zeroi2v_bench.strict import Frozen, Positive, Share, first_problem, parse_yaml
from zeroi2v_bench.types import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SplitSpec(Frozen):
    """Which clips are trained on and tested on.

    Attributes:
        name: The dataset's own split ("1", "2", "3"; "default" where there is one).
        shots: Training clips per class, drawn by seed; None trains on the whole split.
        nested: Draws of one seed contain each other (2 in 4 in 8 in 16).
        distinct_groups: At most one clip of a source group per class, where groups are known.
        train_list: A list file in ``path label`` form that replaces the training set.
        test_list: The same for the test set.
        holdout: Share of the training clips of each class kept out to choose the epoch by;
            0 means that the last epoch is the result. Test clips never choose anything.
        bad_clips: What an unreadable or damaged test clip counts as.
    """

    name: str = "default"
    shots: Positive | None = None
    nested: bool = False
    distinct_groups: bool = False
    train_list: str | None = None
    test_list: str | None = None
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    bad_clips: Literal["wrong", "excluded"] = "wrong"


class Sampling(Frozen):
    """Which frames a view takes: a run of ``num_frames`` every ``stride``, or evenly over all."""

    kind: Literal["dense", "uniform"]
    num_frames: Positive
    stride: Positive = 1

    @model_validator(mode="after")
    def _uniform_has_no_stride(self) -> Sampling:
        if self.kind == "uniform" and self.stride != 1:
            raise ValueError("uniform sampling has no stride; remove it or use kind: dense")
        return self


class RandAugmentSpec(Frozen):
    """RandAugment over the whole clip; ``when`` is its place relative to the crop."""

    layers: Positive
    magnitude: Annotated[int, Field(ge=0, le=30)]
    when: Literal["before_crop", "after_crop"]


class ErasingSpec(Frozen):
    """Random erasing: one patch, the same in all frames, of grey (const) or noise (random)."""

    probability: Share
    fill: Literal["const", "random"]


class Augment(Frozen):
    """Training augmentation, the same for all frames of a clip.

    Attributes:
        short_side: Resize to this short side first; None keeps the stored size.
        crop: "resize" scales to the image size; "random_resized" takes a random area in
            ``area`` with a random aspect in (3/4, 4/3), then scales.
        area: Range of the share of the frame that a random crop takes.
        flip: Probability of a horizontal flip (label pairs of the dataset are swapped).
    """

    short_side: Positive | None = None
    crop: Literal["resize", "random_resized"] = "resize"
    area: tuple[Share, Share] = (0.08, 1.0)
    flip: Share = 0.0
    rand_augment: RandAugmentSpec | None = None
    erasing: ErasingSpec | None = None


class Optim(Frozen):
    """AdamW and its schedule. ``batch_size`` is global: over all devices and accumulation steps.

    Attributes:
        lr: Peak learning rate at exactly this batch size; nothing rescales it.
        betas: Of AdamW; "one_cycle" moves the first from 0.95 to 0.85 and back, whatever it is.
        schedule: "cosine" to ``final_lr``, after a linear warm-up from ``warmup_start`` of it,
            or torch's "one_cycle".
        step_per: Whether the cosine moves at every optimiser step or once an epoch.
        backbone_lr_mult: Factor on all trainable tensors but the head.
        layer_decay: Factor per block counted from the head; 1 is off.
        grad_clip: Largest gradient norm; None is off.
        precision: Autocast type of training ("fp32" is none).
    """

    epochs: Annotated[int, Field(ge=0)]
    batch_size: Positive
    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    betas: tuple[Share, Share] = (0.9, 0.999)
    schedule: Literal["cosine", "one_cycle"] = "cosine"
    step_per: Literal["step", "epoch"] = "step"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    warmup_start: Share = 0.1
    final_lr: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Share = 0.0
    backbone_lr_mult: Annotated[float, Field(gt=0)] = 1.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    grad_clip: Annotated[float, Field(gt=0)] | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"


class Views(Frozen):
    """Test views of a clip: temporal clips times spatial crops; scores are averaged over them."""

    clips: Positive = 1
    crops: Literal[1, 3] = 1
    short_side: Positive | None = None


class MethodSpec(Frozen):
    """One row of a protocol: a method module, its parameters, and what it optimises otherwise.

    Attributes:
        method: Module in ``zeroi2v_bench.methods``; None means the row's own name.
        backbone: What the row is written for; None means the protocol's.
        recipe: Whose values these are; None means the protocol's.
        params: Parsed strictly by that module's ``Params``.
        optim: Fields of the protocol's ``optim`` that differ for this row.
    """

    method: str | None = None
    backbone: str | None = None
    recipe: Literal["released", "ours"] | None = None
    params: dict[str, Any] = {}
    optim: dict[str, Any] = {}


class Protocol(Frozen):
    """One benchmark setting. See README, "Add a protocol"."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+=,-]*$")]
    version: Positive
    description: str
    recipe: Literal["released", "ours"] = "ours"
    dataset: str
    splits: SplitSpec = SplitSpec()
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    sampling: Sampling
    image_size: Positive
    augment: Augment = Augment()
    optim: Optim
    views: Views = Views()
    backbone: str
    methods: Annotated[dict[str, MethodSpec], Field(min_length=1)]
    default_methods: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        if self.name == COSTS:
            raise ValueError(f"a protocol cannot be named {COSTS!r}: that folder is for costs")
        if (side := self.views.short_side) is not None and side < self.image_size:
            raise ValueError(
                f"views.short_side={side} is below image_size={self.image_size}, so that a crop "
                f"does not fit; legal are {self.image_size} and more, or none"
            )
        for label in self.default_methods:
            if label not in self.methods:
                raise ValueError(f"default_methods names {label!r}, which is not under methods")
        for label, spec in self.methods.items():
            if "." in (spec.method or label):
                raise ValueError(f"methods.{label}: a dotted module name is not legal in a file")
            self.optim_of(label)
        return self

    @property
    def hash(self) -> str:
        """SHA-256 of every field that can move a number, whatever the method or the seed.

        Fields at their default stay out, so that a new field leaves old hashes as they are.
        """
        about = {"description", "recipe", "seeds", "backbone", "methods", "default_methods"}
        values = self.model_dump(mode="json", exclude=about, exclude_defaults=True)
        return fingerprint([json.dumps(values, sort_keys=True, separators=(",", ":"))])

    def spec_of(self, label: str) -> MethodSpec:
        """The row of that name, or the bare method of that name with its default parameters."""
        return self.methods.get(label, MethodSpec(method=label))

    def module_of(self, label: str) -> str:
        """Name of the method module behind a row."""
        return self.spec_of(label).method or label

    def optim_of(self, label: str) -> Optim:
        """The optimiser settings with the row's own differences."""
        own = self.spec_of(label).optim
        return Optim.model_validate({**self.optim.model_dump(), **own}) if own else self.optim

    def backbone_of(self, label: str) -> str:
        """The backbone that a row is written for."""
        return self.spec_of(label).backbone or self.backbone

    def recipe_of(self, label: str, backbone: str) -> Literal["released", "ours"]:
        """Whose recipe a row is: "released" only with the very backbone it was released for."""
        written = label in self.methods and backbone == self.backbone_of(label)
        return (self.spec_of(label).recipe or self.recipe) if written else "ours"


def protocol_dirs(extra_dirs: Sequence[Path] = ()) -> list[Path]:
    """Where protocol files are looked for, first match wins.

    The checkout's ``protocols/`` counts only if ``pyproject.toml`` stands beside it; an installed
    package carries its own copy.
    """
    package = Path(__file__).resolve().parent
    own = package.parent / "protocols" if (package.parent / "pyproject.toml").is_file() else None
    return [*extra_dirs, own if own and own.is_dir() else package / "_protocols"]


def protocol_names(extra_dirs: Sequence[Path] = ()) -> list[str]:
    """Names of all protocols that can be loaded, sorted."""
    return sorted({p.stem for d in protocol_dirs(extra_dirs) for p in d.glob("*.yaml")})


def load_protocol(name: str, extra_dirs: Sequence[Path] = ()) -> Protocol:
    """Load a protocol by its name, or by the path of its file (ending in ``.yaml``).

    Raises:
        UnknownNameError: No protocol of that name.
        ProtocolError: The file cannot be parsed, or its name is not the name inside.
    """
    if name.endswith((".yaml", ".yml")):
        return read_protocol(Path(name))
    for folder in protocol_dirs(extra_dirs):
        if (path := folder / f"{name}.yaml").is_file():
            return read_protocol(path)
    raise UnknownNameError("protocol", name, protocol_names(extra_dirs))


def read_protocol(path: Path) -> Protocol:
    """Parse one protocol file.

    Raises:
        ProtocolError: Unreadable, not YAML, an unknown key, an illegal value, or a ``name`` that
            is not the file's.
    """
    try:
        protocol = Protocol.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ProtocolError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ProtocolError(f"{path}: {first_problem(error)}") from error
    except ValueError as error:
        raise ProtocolError(f"{path}: not valid YAML: {error}") from error
    if protocol.name != path.stem:
        raise ProtocolError(f"{path}: name is {protocol.name!r}; it must be the file's name")
    return protocol


def override(protocol: Protocol, changes: Mapping[str, Any]) -> Protocol:
    """A new protocol with some fields changed, under a name of its own; no released recipe.

    Args:
        protocol: The original; it stays as it is.
        changes: Dotted field names and new values, e.g. ``{"sampling.num_frames": 8}``.

    Raises:
        ProtocolError: An unknown field or an illegal value.
    """
    if not changes:
        return protocol
    data = {**protocol.model_dump(mode="python"), "recipe": "ours"}
    for row in data["methods"].values():
        row["recipe"] = None
    for dotted, value in changes.items():
        *parents, leaf = dotted.split(".")
        node: Any = data
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict) or (leaf not in node and parents[:1] != ["methods"]):
            raise ProtocolError(f"{dotted}: no such field in protocol {protocol.name}")
        if dotted in {"name", "version"}:
            raise ProtocolError(f"{dotted} cannot be overridden")
        node[leaf] = value
    suffix = ",".join(f"{key}={value}" for key, value in changes.items())
    data["name"] = f"{protocol.name}+{re.sub(r'[^A-Za-z0-9_.+=,-]', '_', suffix)}"
    try:
        return Protocol.model_validate(data)
    except ValidationError as error:
        raise ProtocolError(f"{protocol.name}: {first_problem(error)}") from error
