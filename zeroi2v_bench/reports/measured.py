"""What was measured, grouped so that only like is pooled: seeds of one setting, nothing else.

Runs of different protocols, protocol versions or hashes, methods, parameters, weights, decoders or
class names are never pooled; neither are runs on random weights with others.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.reports.intervals import mean, standard_deviation, t_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zeroi2v_bench.records import Efficiency, RunRecord

_NAMES = re.compile(r"vit[-_]?(?P<size>base|large|huge|[blh])[-_/](?:patch)?(?P<patch>\d+)", re.I)
_ARCHITECTURE_SUFFIX = re.compile(r"_[bl]\d+(_336)?$")
"""Of a protocol's row that is a method on its own backbone, as in "zeroi2v_l14"."""
_SIDE = re.compile(r"(?<=[-_@])(336|384|448)(?![0-9])")


def architecture(spec: str) -> str:
    """The network behind a backbone's spec as papers write it; the spec itself if unknown.

    >>> architecture("openclip:ViT-L-14-336/openai"), architecture("timm:vit_base_patch16_224")
    ('ViT-L/14@336', 'ViT-B/16')
    """
    found = _NAMES.search(spec)
    if not found:
        return spec
    side = _SIDE.search(spec)
    name = f"ViT-{found['size'][0].upper()}/{found['patch']}"
    return f"{name}@{side[0]}" if side else name


def pretraining(spec: str) -> Any:
    """What a backbone was trained on as the tables write it; `ANY` where its spec does not tell.

    >>> pretraining("openclip:ViT-B-16-quickgelu/openai"), pretraining("timm:vit_b.augreg_in21k")
    ('CLIP', 'augreg_in21k')
    """
    library, _, name = spec.partition(":")
    if library == "checkpoint":
        return ANY
    tag = re.split(r"/" if library == "openclip" else r"\.", name)[-1] or library
    return "CLIP" if tag == "openai" else tag


class _Any:
    """A fact that a measurement leaves open: a cost has no dataset; it fits every one."""

    def __repr__(self) -> str:
        return "any"


ANY = _Any()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs that differ in nothing but their seed, oldest first."""

    runs: tuple[RunRecord, ...]

    @property
    def newest(self) -> RunRecord:
        """The latest run; what all runs share is read from it."""
        return self.runs[-1]

    @property
    def efficiency(self) -> Efficiency:
        """Cost of the model that is deployed (merged, where there is a merged one)."""
        return self.newest.efficiency

    @property
    def timing(self) -> None:
        """Runs are not timed; see `CostCase`."""
        return

    @property
    def is_plain(self) -> bool:
        """Whether the network is the plain image model with a classifier."""
        return self.newest.module in {"linear_probe", "full_finetune"}

    @property
    def random_weights(self) -> bool:
        """Whether the backbone's weights are random, so that no accuracy of it may be compared."""
        return self.newest.backbone.random_weights

    def figures(self, name: str) -> list[float]:
        """Top-1 or top-5 ("top1", "top5") of each run, per cent; nothing for random weights."""
        values = [float(getattr(run.accuracy, name)) for run in self.runs]
        return [] if self.random_weights else values

    def average(self, name: str) -> float | None:
        """Mean top-1 or top-5 over seeds."""
        return mean(self.figures(name)) if self.figures(name) else None

    def spread(self) -> float | None:
        """Standard deviation of top-1 over seeds; None for a single seed."""
        return standard_deviation(self.figures("top1"))

    def interval(self) -> tuple[float, float] | None:
        """95 % t-interval of the mean top-1 over seeds, cut at 0 and 100; None for one seed."""
        values = self.figures("top1")
        if len(values) < 2:
            return None
        low, high = t_interval(values)
        return max(low, 0.0), min(high, 100.0)

    def facts(self) -> dict[str, Any]:
        """What tables choose and match by; see `published.Fact`."""
        run = self.newest
        setting = "few-shot" if run.shots else "full"
        return {
            "method": _ARCHITECTURE_SUFFIX.sub("", run.method),
            "params": run.params,
            "backbone": architecture(run.backbone.spec),
            "pretrain": pretraining(run.backbone.spec),
            **view_facts(run.views),
            "dataset": run.dataset,
            "setting": "zero-shot" if run.module == "zero_shot" else setting,
            "shots": run.shots,
            "protocol": run.protocol,
            "recipe": run.recipe,
            "state": "merged" if run.merge else None,
        }

    def behind(self) -> dict[str, Any]:
        """How much is behind the figures: seeds, clips, protocol, weights, machine."""
        run = self.newest
        return {
            "seeds": len(self.runs),
            "coverage": self._join(lambda r: f"{r.accuracy.num_clips}/{r.num_test}"),
            "protocol": f"{run.protocol} v{run.protocol_version} #{run.protocol_hash[:8]}",
            "recipe": run.recipe,
            "weights": "random" if self.random_weights else "pretrained",
            "decoder": self._join(lambda r: r.decoder),
            "device": self._join(lambda r: r.environment.device),
            "selection": self._join(selection_rule),
        }

    def _join(self, read: Callable[[RunRecord], str]) -> str:
        return ", ".join(dict.fromkeys(read(run) for run in self.runs))

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The records behind it, as ``protocol/run id``."""
        return tuple(f"{run.protocol}/{run.run_id}" for run in self.runs)


def view_facts(views: str) -> dict[str, Any]:
    """Frames and views out of "frames x crops x clips", as texts."""
    numbers = [int(part) for part in views.split("x") if part.isdigit()]
    frames = str(numbers[0]) if numbers else ""
    return {"views": views, "num_frames": frames, "num_views": str(math.prod(numbers[1:]))}


def selection_rule(run: RunRecord) -> str:
    """Which epoch's model a run is about."""
    if run.fit.solver == "none":
        return "nothing trained"
    if "chosen_epoch" in run.fit.details:
        return "best epoch on held-out training clips"
    return "last epoch" if run.fit.solver == "adamw" else "convergence"


def sameness(run: RunRecord) -> tuple[Any, ...]:
    """Equal for two runs exactly if they may be pooled.

    A few-shot draw differs between seeds by design; a full training set must be the same clips.
    """
    return (
        run.protocol,
        run.protocol_version,
        run.protocol_hash,
        run.method,
        run.module,
        repr(sorted(run.params.items())),
        repr(sorted(run.optim.items())),
        run.backbone,
        run.decoder.split()[0],
        run.class_names_hash,
        run.num_test,
        run.splits_fingerprint if run.shots is None else "",
    )


def group_runs(runs: Iterable[RunRecord]) -> tuple[list[Group], list[str]]:
    """Groups in order of their first run, and one line for each seed that was recorded twice."""
    pools: dict[tuple[Any, ...], dict[int, RunRecord]] = {}
    lines = []
    for run in sorted(runs, key=lambda r: (r.created, r.run_id)):
        pool = pools.setdefault(sameness(run), {})
        if (older := pool.pop(run.seed, None)) is not None:
            lines.append(
                f"{run.protocol}/{run.run_id}: newer than {older.run_id} of the same seed; "
                "the older one is left out"
            )
        pool[run.seed] = run
    return [Group(runs=tuple(pool.values())) for pool in pools.values()], lines
