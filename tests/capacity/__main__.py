"""`python -m tests.capacity`: what the benchmarks' figures come to at other loads.

    python -m tests.capacity --report build/bench/report.json --write docs/capacity.md

Without --write the figures are printed; with it they are put between the marks in that file. Needs the report of
`make bench`.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.plan import CORES
from tests.bench.report import table
from tests.capacity.autoscaling import Policy, most_model_servers, policy
from tests.capacity.checked import compare
from tests.capacity.costs import Way, read, ways
from tests.capacity.day import World, rolling_update_s, simulate
from tests.capacity.sizing import by_load, limits, size

BEGIN, END = "<!-- figures: python -m tests.capacity -->", "<!-- end of figures -->"
RATES = (100, 1_000, 10_000, 100_000, 1_000_000)
DAY_PEAK = 10_000
START_S, MIN_READY_S = 15.0, 5.0  # a pod: scheduled, started, ready (its image is on the node); minReadySeconds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tests.capacity")
    parser.add_argument("--report", type=Path, default=Path("build/bench/report.json"))
    parser.add_argument("--write", type=Path, help="a file with marks, whose figures to replace")
    options = parser.parse_args(arguments)
    if not options.report.exists():
        parser.error(f"{options.report} does not exist: `make bench` makes it")
    report = read(options.report)
    known = ways(report)
    if "json" not in known:
        parser.error(f"{options.report} lacks `json 1` or `json 32` at 16 callers: run all cases")
    scaler = policy("gateway-http")
    figures = "\n\n".join(
        [
            origin(report),
            costs(known),
            checked(report),
            *sizes(known, scaler),
            first_limits(known, scaler),
            day(known["json"], scaler),
        ]
    )
    if options.write:
        options.write.write_text(replaced(options.write.read_text(), figures))
    sys.stdout.write(figures + "\n")


def replaced(text: str, figures: str) -> str:
    """The text with other figures between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"expected the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"


def origin(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    return f"From a benchmark of revision {machine['revision']} on {machine['processors']}, {machine['rounds']}."


def costs(known: Mapping[str, Way]) -> str:
    rows = [
        [
            way.name,
            *(
                f"{part * 1e3:.3f}"
                for cost in (way.door, way.model_server)
                for part in (cost.request_s, cost.instance_s)
            ),
        ]
        for way in known.values()
    ]
    titles = ["way", "door: a request", "door: an image", "model server: a request", "model server: an image"]
    return "### Costs\n\nMilliseconds of processor time, at 16 callers.\n\n" + table(titles, rows)


def checked(report: Mapping[str, Any]) -> str:
    rows = []
    for one in compare(report):
        pairs = zip(one.predicted[1:], one.measured[1:], strict=True)
        latencies = [f"{seconds * 1e3:.1f}" for pair in pairs for seconds in pair]
        rates = (f"{one.predicted[0]:,.0f}", f"{one.measured[0]:,.0f}", f"{one.rate_error:+.0%}")
        rows.append([one.side, one.case, one.callers, *rates, *latencies, f"{one.processors_used:.2f}"])
    titles = [
        *("workers", "case", "callers", "requests/s: predicted", "measured", "error"),
        *("p50, ms: predicted", "measured", "p99, ms: predicted", "measured", f"processors used, of {CORES}"),
    ]
    return "### Predicted and measured\n\n" + table(titles, rows)


def sizes(known: Mapping[str, Way], scaler: Policy) -> Iterator[str]:
    titles = [
        *("requests/s", "door pods", "model server pods", "nodes", "p50, ms", "p99, ms"),
        *("$ an hour", "$ a million requests"),
    ]
    for name, instances in (("json", 1), ("octets", 32), ("grpc", 1)):
        if name not in known:
            continue
        rows = []
        for rate in RATES:
            one = size(known[name], rate, instances, scaler.target)
            latency = (f"{one.p50_s * 1e3:.1f}", f"{one.p99_s * 1e3:.1f}")
            money = (f"{one.dollars_an_hour:,.2f}", f"{one.dollars_a_million:.3f}")
            rows.append([f"{rate:,}", one.doors, one.model_servers, one.nodes, *latency, *money])
        yield f"### {name}, {instances} image{'s' * (instances > 1)} a request\n\n" + table(titles, rows)


def first_limits(known: Mapping[str, Way], scaler: Policy) -> str:
    rows = [
        [f"{one.rate:,.0f}", one.what, one.then]
        for one in by_load(limits(known["json"], 1, scaler, most_model_servers(), CORES))
    ]
    return "### What gives first\n\nOne image as JSON.\n\n" + table(["requests/s", "limit", "then"], rows)


def day(way: Way, scaler: Policy) -> str:
    """As our manifests have it, and as they would have to be for more."""
    door_s = way.door.of(1)
    roomy = Policy(**{**scaler.__dict__, "most": 10_000})
    rows = []
    for name, peak, rule, lost in (
        ("our manifest", 0.5 * scaler.most * scaler.target / door_s, scaler, 0.25),
        ("our manifest, too small", 2 * scaler.most * scaler.target / door_s, scaler, 0.25),
        ("maxReplicas raised", DAY_PEAK, roomy, 0.1),
        ("maxReplicas raised", 1_000_000, roomy, 0.01),
    ):
        seen = simulate(World(peak, door_s, START_S, lost), rule)
        fixed = 24 * 2 * peak * door_s / rule.target  # pods for the crowd, all day
        rows.append(
            [
                name,
                f"{peak:,.0f}",
                f"{seen.least}–{seen.most}",
                f"{seen.busiest:.0%}",
                f"{seen.refused / seen.requests:.4%}",
                f"{seen.failed / seen.requests:.4%}",
                f"{seen.pod_hours:,.0f} ({seen.pod_hours / fixed:.0%})",
                *(
                    f"{rolling_update_s(seen.most, surge, START_S, MIN_READY_S) / 60:,.1f}"
                    for surge in (1, math.ceil(seen.most / 4))
                ),
            ]
        )
    titles = [
        *("autoscaler", "ordinary peak, requests/s", "door pods", "busiest", "refused", "failed on the dead node"),
        *("pod hours (of a fixed number)", "rolling update, minutes: maxSurge 1", "maxSurge 25%"),
    ]
    return "### A day\n\n" + table(titles, rows)


if __name__ == "__main__":
    main()
