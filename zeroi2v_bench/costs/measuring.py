"""What models cost, side by side in one process: counts always, times unless they are left out."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from zeroi2v_bench.backbones.base import Backbone, load_backbone
from zeroi2v_bench.costs.cost_records import Conditions, CostRecord, CostRow, State
from zeroi2v_bench.costs.efficiency import count_costs, without_memory
from zeroi2v_bench.costs.side_by_side import (
    THROUGHPUT_ROUNDS,
    Plan,
    SideBySide,
    describe_video,
    time_models,
)
from zeroi2v_bench.environment import describe_environment
from zeroi2v_bench.merging import count_adapted, merge, refusal
from zeroi2v_bench.methods.base import adapt
from zeroi2v_bench.protocol import Views
from zeroi2v_bench.records import run_key
from zeroi2v_bench.types import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zeroi2v_bench.nn.video_vit import VideoViT

PLAIN = "linear_probe"
"""The method whose model is the plain image transformer with a classifier on the mean frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The video that costs are about.

    Attributes:
        num_frames: Frames per view, T.
        crops: Spatial crops of each clip.
        clips: Temporal clips; a video has crops x clips views.
        image_size: Side of a view in pixels; a backbone of one fixed size keeps its own.
        num_classes: Outputs of the classifier.
    """

    num_frames: int = 8
    crops: int = 1
    clips: int = 3
    image_size: int = 224
    num_classes: int = 400

    @property
    def views(self) -> int:
        """Views of a video."""
        return self.crops * self.clips

    @property
    def task(self) -> Task:
        """What a method adapts to; the classes are nameless."""
        names = tuple(map(str, range(self.num_classes)))
        return Task(num_frames=self.num_frames, class_names=names)


EIGHT_FRAMES = Case()
"""8x1x3, as in most tables of the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model to be measured, and the row that it makes."""

    model: VideoViT
    row: CostRow


def measure(
    methods: Sequence[str | tuple[str, Mapping[str, Any]]],
    backbones: Sequence[str],
    *,
    case: Case = EIGHT_FRAMES,
    plan: Plan | None = None,
    random_weights: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> CostRecord:
    """Parameters and multiply-adds of methods on backbones, and their times side by side.

    Every backbone also has a row for the plain image model. A method that can be merged has two,
    unmerged and merged. With times, the plain model stands there twice: the second time shows
    the noise. All models are in memory together, so that they can take turns.

    Args:
        methods: Names of methods, or pairs of a name and parameters.
        backbones: Where image models come from; see `load_backbone`.
        case: Frames, views, classes.
        plan: How times are taken; None counts only, on random weights and without a forward pass.
        random_weights: Initialise backbones instead of loading weights.
        report: Called with a line for every step.

    Raises:
        BenchError: Bad input, counts that contradict the closed formula, or too little memory.
    """
    entries: list[Entry] = []
    pairs = [(method, {}) if isinstance(method, str) else method for method in methods]
    for spec in backbones:
        report(f"{spec}: counting")
        backbone = load_backbone(
            spec, image_size=case.image_size, random_weights=random_weights or plan is None
        )
        if plan is None:
            network = without_memory(backbone.model)
            backbone = Backbone(model=network, info=backbone.info, text=backbone.text)
        entries += build_entries(pairs, backbone, case, again=plan is not None)
    rows = [entry.row for entry in entries]
    if plan is not None:
        rows = add_times(entries, case, plan, report)
    return make_record(rows, case, plan)


def build_entries(
    methods: Sequence[tuple[str, Mapping[str, Any]]], backbone: Backbone, case: Case, *, again: bool
) -> list[Entry]:
    """The plain model and those of the methods, counted; on the backbone's device."""

    def entry(
        model: VideoViT,
        method: str,
        state: State,
        params: Mapping[str, Any] = MappingProxyType({}),
        trained: VideoViT | None = None,
    ) -> Entry:
        costs = count_costs(
            model, backbone.model, num_frames=case.num_frames, views=case.views, trained=trained
        )
        row = CostRow(
            method=method,
            label=label_of(method, params),
            params=model.recipe.params if model.recipe else {},
            state=state,
            backbone=backbone.info,
            image_size=model.config.image_size,
            costs=costs,
        )
        return Entry(model=model, row=row)

    device = next(backbone.model.parameters()).device
    with device, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = adapt(PLAIN, backbone, case.task, {}).eval()
        entries = [entry(plain, "plain", "plain")]
        if again:
            entries.append(entry(copy.deepcopy(plain), "plain", "plain again"))
        for method, params in methods:
            model = as_if_trained(adapt(method, backbone, case.task, params).eval())
            mergeable = count_adapted(model) and not refusal(model)
            entries.append(entry(model, method, "unmerged" if mergeable else "as trained", params))
            if mergeable:
                entries.append(entry(merge(model), method, "merged", params, model))
    return entries


def label_of(method: str, params: Mapping[str, Any]) -> str:
    """The method, and what is said about its parameters, as on the command line."""
    return " ".join([method, *([json.dumps(dict(params))] if params else [])])


def as_if_trained(model: VideoViT) -> VideoViT:
    """The same model, changed in place: adapters away from zero, with which a GPU is faster."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01 * torch.randn_like(parameter))
    return model


def add_times(
    entries: Sequence[Entry], case: Case, plan: Plan, report: Callable[[str], None]
) -> list[CostRow]:
    """The rows with times; each backbone's first row is its plain model."""
    rows = [entry.row for entry in entries]
    states = [row.state for row in rows]
    plain = [max(j for j in range(i + 1) if states[j] == "plain") for i in range(len(rows))]
    contest = SideBySide(
        [entry.model for entry in entries],
        num_frames=case.num_frames,
        views=Views(clips=case.clips, crops=case.crops),
        plan=plan,
        report=report,
    )
    timed = []
    for row, timing in zip(rows, time_models(contest, plain), strict=True):
        medians = {
            "latency_ms": timing.latency_ms.median,
            "clips_per_s": timing.videos_per_s.median,
            "peak_memory_mb": timing.peak_memory_mb,
        }
        costs = row.costs.model_copy(update=medians)
        timed.append(row.model_copy(update={"costs": costs, "timing": timing}))
    return timed


def make_record(rows: Sequence[CostRow], case: Case, plan: Plan | None) -> CostRecord:
    """The record of one call of `measure`."""
    created = datetime.now(UTC)
    environment = describe_environment(plan.device if plan else "cpu")
    conditions = plan and Conditions(
        device=environment.device,
        precision=plan.precision,
        float32_matmul=torch.get_float32_matmul_precision(),
        threads=environment.threads,
        compiled=plan.compiled,
        rounds=plan.rounds,
        throughput_rounds=THROUGHPUT_ROUNDS,
        with_decode=plan.video is not None,
        video=describe_video(plan.video) if plan.video else "",
    )
    key = run_key(rows=[row.model_dump(mode="json") for row in rows], created=created.isoformat())
    return CostRecord(
        run_id=f"{created:%Y%m%dT%H%M%SZ}_{'times' if plan else 'counts'}_{key[:10]}",
        created=created.isoformat(timespec="seconds"),
        num_frames=case.num_frames,
        crops=case.crops,
        clips=case.clips,
        num_classes=case.num_classes,
        conditions=conditions,
        rows=tuple(rows),
        environment=environment,
    )
