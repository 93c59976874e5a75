"""Every trainable method side by side on moving_digits: accuracy, size and cost.

    python benchmarks/digits_methods.py [--results DIR] [--protocol P] [--method M] [--seed S]

Trains each method on `full_digits` and on the learning curve of 4 to 32 clips per class, with all
seeds and the epochs of the protocol; the learning rates are the protocols' (see
benchmarks/digits_learning_rates.py). What is recorded is not run again, so parts may run at the
same time and the whole afterwards. Then it measures latency, all methods interleaved, and prints
one table per protocol. These are numbers of the embedded benchmark and of nothing else.

A clip and its reversal are both in the test set, with different labels. So a model that cannot
tell them apart has at most 50.0 % top-1; if one has more, this stops and says so.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zeroi2v_bench.costs.cost_records import append_costs, load_costs
from zeroi2v_bench.costs.measuring import Case, measure
from zeroi2v_bench.costs.side_by_side import Plan
from zeroi2v_bench.data.frame_cache import FrameCache, open_cache
from zeroi2v_bench.methods.base import parse_params
from zeroi2v_bench.protocol import load_protocol
from zeroi2v_bench.reports.intervals import mean, t_interval
from zeroi2v_bench.reports.tables import markdown
from zeroi2v_bench.runner import run

if TYPE_CHECKING:
    from zeroi2v_bench.costs.cost_records import CostRecord, Spread
    from zeroi2v_bench.protocol import Protocol
    from zeroi2v_bench.records import RunRecord

PROTOCOLS = ("full_digits", *(f"fewshot_digits_{k}shot" for k in (4, 8, 16, 32)))
ORDER_INVARIANT = ("linear_probe", "full_finetune", "adapters_only")
METHODS = (
    *ORDER_INVARIANT,
    "adapters_temporal_embedding",
    "lora",
    "aim",
    "st_adapter",
    "zeroi2v",
)
PLAN = Plan(rounds=31, batch=16, max_batch=16)
TITLES = (
    "method",
    "top-1 % (mean, 95 % interval)",
    "seeds",
    "tunable parameters",
    "MMACs per video",
    "latency ratio (95 %)",
)


def parse_arguments() -> argparse.Namespace:
    """Filters; everything by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results/reference"))
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS)
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--no-times", action="store_true", help="leave latency out")
    return parser.parse_args()


def main() -> None:
    """Run what is not recorded yet, then print the tables."""
    arguments = parse_arguments()
    cache, methods = open_cache("ram"), arguments.method or METHODS
    protocols = [load_protocol(name) for name in arguments.protocol or PROTOCOLS]
    runs: dict[str, dict[str, list[RunRecord]]] = {}
    for protocol in protocols:
        check_rows(protocol, methods)
        runs[protocol.name] = {
            method: [
                run_one(protocol, method, seed, arguments.results, cache)
                for seed in arguments.seed or protocol.seeds
            ]
            for method in methods
        }
    costs = None if arguments.no_times else time_methods(protocols[0], methods, arguments.results)
    for name, by_method in runs.items():
        print(f"\n### {name}\n\n{table_of(by_method, costs)}")


def check_rows(protocol: Protocol, methods: tuple[str, ...]) -> None:
    """Stop if a method has no row of its own, as its default learning rate would mislead."""
    missing = [method for method in methods if method not in protocol.methods]
    if missing:
        sys.exit(f"{protocol.name} has no row for {', '.join(missing)}")


def run_one(
    protocol: Protocol, method: str, seed: int, results: Path, cache: FrameCache | None
) -> RunRecord:
    """The record of a run, which is made unless it is there."""
    record = run(protocol, method=method, seed=seed, results=results, cache=cache)
    top1 = record.accuracy.top1
    print(f"{protocol.name}, {method}, seed {seed}: {top1:.2f} %", file=sys.stderr, flush=True)
    if method in ORDER_INVARIANT and top1 > 50:
        sys.exit(f"{method} cannot tell a clip from its reversal, yet has {top1} %: find out why")
    return record


def time_methods(protocol: Protocol, methods: tuple[str, ...], results: Path) -> CostRecord:
    """Latencies of the methods in the protocol's setting; the newest record if it has them all."""
    asked = [(protocol.module_of(m), protocol.spec_of(m).params) for m in methods]
    case = Case(
        num_frames=protocol.sampling.num_frames,
        crops=protocol.views.crops,
        clips=protocol.views.clips,
        image_size=protocol.image_size,
        num_classes=8,
    )
    for record in reversed(load_costs([results])[0]):
        if (
            record.conditions
            and record.num_classes == case.num_classes
            and all(find_ratio(record, module, params) for module, params in asked)
        ):
            return record
    record = measure(asked, [protocol.backbone], case=case, plan=PLAN)
    append_costs(record, results)
    return record


def find_ratio(record: CostRecord, module: str, params: dict[str, object]) -> Spread | None:
    """Latency of the deployed model (merged, where it can be) over the plain one's."""
    full = parse_params(module, params).model_dump(mode="json")
    found = [r for r in record.rows if r.method == module and r.params == full and r.timing]
    return found[-1].timing.latency_ratio if found and found[-1].timing else None


def table_of(by_method: dict[str, list[RunRecord]], costs: CostRecord | None) -> str:
    """One row per method."""
    rows = []
    for method, runs in by_method.items():
        newest = runs[-1]
        ratio = costs and find_ratio(costs, newest.module, newest.params)
        rows.append(
            [
                method,
                show_top1([r.accuracy.top1 for r in runs]),
                str(len(runs)),
                f"{newest.efficiency.tunable_params:,}",
                f"{1e3 * newest.efficiency.gmacs_per_video:.1f}",
                f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})" if ratio else "",
            ]
        )
    return markdown(TITLES, rows, [False, True, True, True, True, True])


def show_top1(values: list[float]) -> str:
    """Mean over seeds, with Student's interval where there are several."""
    if len(values) < 2:
        return f"{mean(values):.2f}"
    low, high = (min(max(end, 0.0), 100.0) for end in t_interval(values))
    return f"{mean(values):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
