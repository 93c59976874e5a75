"""Measured costs as tables read them: one model on one backbone, with what it fits beside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroi2v_bench.reports.measured import ANY, Group, architecture, view_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zeroi2v_bench.costs.cost_records import Conditions, CostRecord, CostRow, Timing
    from zeroi2v_bench.records import Efficiency

PAPER_SIDE = 224
"""Side of a view in pixels that needs no mention, as in the papers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCase:
    """One model of a cost measurement; it has no accuracy, and fits every dataset."""

    record: CostRecord
    row: CostRow

    @property
    def efficiency(self) -> Efficiency:
        """Counts, and medians of the times if there are any."""
        return self.row.costs

    @property
    def timing(self) -> Timing | None:
        """Times with their spread."""
        return self.row.timing

    @property
    def asked_for(self) -> frozenset[str]:
        """The parameters that were asked for; the label says them after the method's name."""
        given = self.row.label.removeprefix(self.row.method)
        return frozenset(json.loads(given)) if given.strip() else frozenset()

    @property
    def is_plain(self) -> bool:
        """Whether the network is the plain image model with a classifier."""
        return self.row.state == "plain"

    def average(self, name: str) -> None:
        """Nothing: a cost has no accuracy."""

    def spread(self) -> None:
        """Nothing."""

    def interval(self) -> None:
        """Nothing."""

    def facts(self) -> dict[str, Any]:
        """What tables choose and match by; see `published.Fact`."""
        row = self.row
        name = architecture(row.backbone.spec)
        if name.startswith("ViT-") and "@" not in name and row.image_size != PAPER_SIDE:
            name = f"{name}@{row.image_size}"
        open_facts = ("dataset", "setting", "shots", "protocol", "recipe")
        return {
            "method": row.label if row.state == "plain again" else row.method,
            "params": row.params,
            "backbone": name,
            **view_facts(self.record.views),
            **dict.fromkeys(open_facts, ANY),
            "state": row.state,
        }

    def behind(self) -> dict[str, Any]:
        """How the costs were measured."""
        how = self.record.conditions
        return {
            "weights": "random" if self.row.backbone.random_weights else "pretrained",
            "device": _where(how) if how else "counted, not timed",
            "precision": how.precision if how else None,
        }

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The record behind it."""
        return (f"costs/{self.record.run_id}",)


def _where(how: Conditions) -> str:
    """The device, and all else that makes times on it another figure."""
    parts = [
        how.device,
        f"{how.threads} threads" if how.device.startswith("cpu") else "",
        "compiled" if how.compiled else "",
        "with decoding" if how.with_decode else "",
    ]
    return ", ".join(part for part in parts if part)


Measurement = Group | CostCase


def cost_cases(records: Iterable[CostRecord], *, timed: bool) -> list[CostCase]:
    """The newest measurement of each model on each backbone and number of views.

    The second plain model is left out: it is there to show the noise.

    Args:
        records: In any order.
        timed: Keep one for each device, precision and compilation; else one in all.
    """
    newest: dict[tuple[Any, ...], CostCase] = {}
    for record in sorted(records, key=lambda r: (r.created, r.run_id)):
        for row in record.rows:
            case = CostCase(record=record, row=row)
            key = _case_key(case) + ((record.conditions,) if timed else ())
            newest.pop(key, None)
            if row.state != "plain again":
                newest[key] = case
    cases = list(newest.values())
    with_times = {_case_key(case) for case in cases if case.timing}
    return [c for c in cases if not timed or c.timing or _case_key(c) not in with_times]


def _case_key(case: CostCase) -> tuple[Any, ...]:
    facts = case.facts()
    params = repr(sorted(case.row.params.items()))
    return (facts["method"], params, facts["state"], facts["backbone"], facts["views"])


def plain_gmacs(measurements: Sequence[Measurement]) -> dict[tuple[str, str], float]:
    """Multiply-adds (G) of the plain image model by (backbone, views), where it was counted."""
    found = {}
    for measurement in measurements:
        if measurement.is_plain:
            facts = measurement.facts()
            found[facts["backbone"], facts["views"]] = measurement.efficiency.gmacs_per_video
    return found
