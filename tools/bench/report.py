#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Turns figures into tables, a chart, and a verdict on the targets.

usage: report.py WHAT FOLDER FIGURES...

WHAT is an architecture, or times: its times alone, or host: the same of this machine. FIGURES
are what the programs in kvm/ARCH/ print. FOLDER gets results.json, results.rst of what was
counted, times.rst of times, and chart.svg and chart.png if there is something to draw. Fails if
a target is missed otherwise than is known, but for times.
"""

import itertools
import json
import math
import pathlib
import statistics
import sys
from dataclasses import dataclass, field
from typing import Callable

COMMANDS = {
    "x86": "make bench",
    "arm64": "make bench ARCH=arm64",
    "times": "tools/bench/run times",
    "host": "tools/bench/host",
}

# What is the same in each run of a build.
COUNTED = ("instructions", "bytes", "vCPUs")

# What may differ from run to run, and is no difference between the sides either.
NOISE = 0.01

# As the programs name them, and as tables do.
SIDES = {"unpatched": "unpatched", "c": "C", "rust": "Rust"}

# What the patches bring, and what Rust brings on top of them.
RATIOS = [("c", "unpatched"), ("rust", "c")]
TIME_RATIOS = [*RATIOS, ("rust", "unpatched")]


def title(case, parameters):
    return " ".join([case, *(f"{name}={value}" for name, value in parameters.items())])


@dataclass
class Figure:
    case: str
    parameters: dict
    unit: str
    values: dict  # of the sides that were measured
    # What each turn gave, and in which boots it was taken: then values are medians.
    turns: dict = field(default_factory=dict)
    boots: dict = field(default_factory=dict)
    read_from: set = field(default_factory=set)

    def ratio(self, side, base):
        if side not in self.values or not self.values.get(base):
            return None
        return round(self.values[side] / self.values[base], 4)

    def ratios(self, side, base):
        """The lower quartile, the median and the upper quartile of ratios; or None."""
        ours, theirs = self.turns.get(side), self.turns.get(base)
        if not ours or not theirs or 0 in theirs:
            return None
        # Turns of one boot come in pairs.
        paired = self.boots[side] == self.boots[base]
        pairs = zip(ours, theirs) if paired else itertools.product(ours, theirs)
        found = [a / b for a, b in pairs]
        # Of a single one there is no spread.
        return tuple(statistics.quantiles(found * 2 if len(found) == 1 else found, method="inclusive"))

    def title(self):
        return title(self.case, self.parameters)

    def json(self):
        turns = {
            f"turns of {side}": {"values": values, "boots": self.boots[side]}
            for side, values in self.turns.items()
        }
        ratios = {
            f"quartiles of {side}/{base}": [round(ratio, 4) for ratio in ratios]
            for side, base in TIME_RATIOS
            if (ratios := self.ratios(side, base))
        }
        return {
            "case": self.case,
            "parameters": self.parameters,
            "unit": self.unit,
            **{side: self.values.get(side) for side in SIDES},
            **{f"{side}/{base}": self.ratio(side, base) for side, base in RATIOS},
            **turns,
            **ratios,
        }


def value(text):
    return int(text) if text.isdecimal() else text


def read(path, header, figures):
    """Adds the figures of a file, and to the header what the file says of itself."""
    about = {}

    for line in path.read_text().splitlines():
        kind, *fields = line.split("\t")
        if kind == "about":
            about[fields[0]] = fields[1]
        elif kind in ("figure", "turns"):
            case, parameters, unit, values = fields
            parameters = dict(p.split("=") for p in parameters.split())
            parameters = {name: value(text) for name, text in parameters.items()}
            figure = Figure(case, parameters, unit, {})
            # Sides of one figure may come from several files.
            figure = figures.setdefault(figure.title(), figure)
            figure.read_from.add(path.stem)
            values = dict(v.split("=") for v in values.split())
            if kind == "turns":
                for side, turns in values.items():
                    figure.turns.setdefault(side, []).extend(map(int, turns.split(",")))
                    figure.boots.setdefault(side, []).append(path.stem)
                    values[side] = round(statistics.median(figure.turns[side]))
            figure.values |= {side: int(n) for side, n in values.items()}
    accel = "TCG" if "TCG" in about["cpu"] or "--icount" in about.get("vm", "") else "KVM"
    header["kernel"] = about["kernel"]
    header["cpu"][path.stem] = about["cpu"]
    header["accel"][path.stem] = f"{accel}, vm/run {about['vm']}" if "vm" in about else accel
    # What counts nothing has none.
    if "clock" in about:
        header["clock"][path.stem] = about["clock"]


class Figures(list):
    def of(self, case, **parameters):
        """The figures of a case that have at least these parameters."""
        found = [
            f
            for f in self
            if f.case == case and all(f.parameters[k] == v for k, v in parameters.items())
        ]
        if not found:
            raise SystemExit(f"error: no figure of {case} {parameters}")
        return found

    def one(self, case, **parameters):
        (figure,) = self.of(case, **parameters)
        return figure


@dataclass(eq=False)
class Target:
    """Some figures of one side, and what each of them may be at most."""

    name: str
    limits: Callable  # figures -> iterable of (figure, limit)
    side: str = "rust"
    # Titles of figures that are known to be above their limit, and why.
    known: dict = field(default_factory=dict)

    def value(self, figure):
        return figure.values[self.side]

    def is_as_expected(self, missed):
        return set(missed) == set(self.known)


class TimeTarget(Target):
    """
    Some times of one side, and what share of an unpatched kernel's each of them may be at most.
    Times differ from run to run, so that what is known to be above its limit need not be.
    """

    def value(self, figure):
        return round(figure.ratios(self.side, "unpatched")[1], 4)

    def is_as_expected(self, missed):
        return set(missed) <= set(self.known)


class NoLongerTarget(TimeTarget):
    """The same, but only what three quarters of the comparisons say counts."""

    def value(self, figure):
        return round(figure.ratios(self.side, "unpatched")[0], 4)


def at_most(limit, *selections):
    """A number."""
    return lambda figures: [
        (f, limit) for case, parameters in selections for f in figures.of(case, **parameters)
    ]


def at_most_share(side, share, *selections):
    """A share of what another side has."""
    return lambda figures: [
        (f, f.values[side] * share)
        for case, parameters in selections
        for f in figures.of(case, **parameters)
    ]


def at_most_c(*selections):
    return at_most_share("c", 1 + NOISE, *selections)


def at_most_c_and_scan(figures):
    """What C needs for an update of pins, and for the scan of one vCPU that follows."""

    def scan(pins):
        return figures.one("scan", reserved=pins, matching="one").values["c"]

    return [
        (f, (f.values["c"] + scan(f.parameters["pins"])) * (1 + NOISE))
        for f in figures.of("update-of-pins")
    ]


# What the patched C may need to find out that a VM is its own.
WHOSE_VM = 40


def at_most_unpatched(figures):
    """All that was counted on both sides."""
    return [
        (f, f.values["unpatched"] * (1 + NOISE) + (f.unit == "instructions") * WHOSE_VM)
        for f in figures
        if "unpatched" in f.values and not f.turns
    ]


def misses(reason, case, **parameters):
    """The titles of a case's figures with any of these parameters, with the reason."""
    combinations = itertools.product(*parameters.values())
    names = [dict(zip(parameters, combination)) for combination in combinations]
    return {title(case, name): reason for name in names}


# Where KVM looks up a vCPU among many, the tree that holds them is a level higher.
HIGHER_TREE = 0.03


def same_for_any_crowd(case):
    """What it costs with the fewest vCPUs that have their own VP index."""

    def limits(figures):
        base = figures.one(case, **{"vcpus": 2, "vp-index": "same"}).values["rust"]
        return [(f, base * (1 + HIGHER_TREE)) for f in figures.of(case)]

    return limits


MATCHING = ("none", "one", "all")
CHANGES = ("added", "edge", "level", "all")

PER_ROUTE = 60
MAX_ROUTES = 4096
MAX_SCAN = 500

# Why figures are above their limit. Documentation/performance.rst says more.
OWED = "a scan also looks at what is in service, so that no EOI gets lost"
SET_UP = "KVM's C sets each route up, for C and Rust alike"
LOOKS = "KVM calls the module twice, which looks through the routes for what has to be kept"
TWO_REQUESTS = (
    "the module makes an index, and vCPUs are asked twice, before the new table is published and"
    " after the grace period"
)
COMPARES = "KVM compares the routes with those of the current table, and need not wait for its readers"
THREE_CALLS = "KVM and the module call each other three times"
PER_PIN = "GCC makes two instructions more of KVM's loop, for each pin"
NO_ROUTES = "the table before has no routes, and so none that would have been freed one by one"
ROUNDED_UP = "a table that fits a slab is rounded up to a power of two, with its routes"
NO_PINS = "unpatched KVM cuts the number of reserved pins to 8 bits, and so scans nothing"

X86_TARGETS = [
    Target(
        "no vCPU is asked to scan for an update of edge routes, or of none",
        at_most(0, ("asked-to-scan", {"changed": "none"}), ("asked-to-scan", {"changed": "edge"})),
    ),
    Target(
        "only the vCPU that a changed level route reaches is asked to scan",
        at_most(1, ("asked-to-scan", {"changed": "level"})),
    ),
    Target(
        "an update of edge routes kicks no vCPU that runs",
        at_most(0, ("kicks-of-running-vcpus", {})),
    ),
    Target(
        f"a scan costs at most {MAX_SCAN} instructions",
        at_most(MAX_SCAN, ("scan", {})),
        known=misses(OWED, "scan", reserved=(1, 24, 240, 1024, MAX_ROUTES), matching=MATCHING),
    ),
    Target(
        f"an update of {MAX_ROUTES} routes costs at most {PER_ROUTE} instructions a route",
        at_most(PER_ROUTE * MAX_ROUTES, ("update", {"routes": MAX_ROUTES})),
        known=misses(SET_UP, "update", routes=[MAX_ROUTES], changed=CHANGES),
    ),
    Target(
        "an update of 1, 24 or 256 routes costs no more than in C",
        at_most_c(*(("update", {"routes": n}) for n in (1, 24, 256))),
        known=misses(LOOKS, "update", routes=[24], changed=["edge"])
        | misses(TWO_REQUESTS, "update", routes=(1, 24, 256), changed=["level", "all"]),
    ),
    Target(
        f"an update of {MAX_ROUTES} routes costs no more than in C",
        at_most_c(("update", {"routes": MAX_ROUTES})),
        known=misses(COMPARES, "update", routes=[MAX_ROUTES], changed=["added"]),
    ),
    Target(
        "an update of pins costs no more than in C with the scan of one vCPU",
        at_most_c_and_scan,
        known=misses(TWO_REQUESTS, "update-of-pins", pins=[1], destinations=[1])
        | misses(TWO_REQUESTS, "update-of-pins", pins=[24], destinations=(1, 2, 24)),
    ),
    Target(
        "delivery to a SINT costs the same with any number of vCPUs and any VP index",
        same_for_any_crowd("sint-delivery"),
    ),
    Target(
        "an update of SINT routes costs the same with any number of vCPUs and any VP index",
        same_for_any_crowd("sint-update"),
    ),
    Target(
        f"a table of {MAX_ROUTES} routes takes no more memory than in C",
        at_most_c(("table-memory", {"routes": MAX_ROUTES})),
    ),
    Target(
        "injection by an irqfd costs no more than in C",
        at_most_c(("irqfd", {})),
        known=misses(THREE_CALLS, "irqfd", route=["sint"]),
    ),
    Target(
        "an EOI that is reported costs at most 1 % more than in C",
        at_most_share("c", 1.01, ("eoi", {})),
    ),
    Target(
        f"C with the patches costs at most {WHOSE_VM} instructions more than C without",
        at_most_unpatched,
        side="c",
        known=misses(ROUNDED_UP, "table-memory", routes=[24])
        | misses(NO_ROUTES, "update", routes=[1], changed=["added"])
        | misses(PER_PIN, "scan", reserved=(24, 240), matching=MATCHING)
        | misses(NO_PINS, "scan", reserved=(1024, MAX_ROUTES), matching=MATCHING),
    ),
]


# Why figures of arm64 are.
INDEX = "KVM's C makes the table, for C and Rust alike, and the module its index"
CALLS = "KVM calls the module, which counts, and has KVM deliver"
KICKS = "KVM counts the SPIs in flight right, and so kicks vCPUs for the first of them"

ARM64_TARGETS = [
    Target(
        "the vgic with 960 SPIs, and so 960 default routes, costs at most a quarter of C",
        at_most_share("c", 1 / 4, ("vgic-init", {"spis": 960})),
        known=misses(INDEX, "vgic-init", spis=[960]),
    ),
    Target(
        f"an update of {MAX_ROUTES} routes costs at most a fifth of C without the patches",
        at_most_share("unpatched", 1 / 5, ("update", {"routes": MAX_ROUTES})),
        known=misses(
            SET_UP, "update", routes=[MAX_ROUTES], pins=[24], changed=("msi", "pin", "all")
        ),
    ),
    Target(
        "injection by an irqfd costs at most 2 % more than in C",
        at_most_share("c", 1.02, ("irqfd", {})),
        known=misses(CALLS, "irqfd", route=["spi-resample"]),
    ),
    Target(
        f"C with the patches costs at most {WHOSE_VM} instructions more than C without",
        at_most_unpatched,
        side="c",
        known=misses(KICKS, "irqfd", route=["spi"]),
    ),
]


def times(share, selects):
    """All times for which `selects` is true, of what was measured on both sides."""
    return lambda figures: [
        (f, share)
        for f in figures
        if f.unit == "ns" and f.ratios("rust", "unpatched") and selects(f.case, f.parameters)
    ]


TIME_TARGETS = [
    TimeTarget(
        "boot takes at most half the time that it takes on an unpatched kernel",
        times(0.5, lambda case, p: case == "boot" and p["time"] == "sum"),
    ),
    TimeTarget(
        "restore takes at most half the time that it takes on an unpatched kernel",
        times(0.5, lambda case, p: case == "restore"),
    ),
    TimeTarget(
        "an update that adds routes takes at most a tenth of the time of an unpatched kernel",
        times(
            0.1,
            lambda case, p: case == "busy"
            and p["update"] == "adds"
            and p["time"] in ("median", "p99"),
        ),
    ),
    NoLongerTarget(
        "nothing takes more than 5 % longer than on an unpatched kernel, for 3 of 4 comparisons",
        times(1.05, lambda case, p: True),
    ),
]

TARGETS = {
    "x86": X86_TARGETS + TIME_TARGETS,
    "arm64": ARM64_TARGETS,
    "times": TIME_TARGETS,
    "host": TIME_TARGETS,
}


def judge(target, figures):
    is_time = isinstance(target, TimeTarget)
    limits = [(f, target.value(f), limit) for f, limit in target.limits(figures)]
    if is_time and not limits:
        return None
    missed = [figure.title() for figure, n, limit in limits if n > limit]
    worst, n, limit = max(limits, key=lambda l: l[1] / l[2] if l[2] else l[1])
    return {
        "target": target.name,
        "side": target.side,
        "met": not missed,
        "as_expected": target.is_as_expected(missed),
        "figures": len(limits),
        "missed": {title: target.known.get(title, "not known why") for title in missed},
        "not_missed": [title for title in target.known if title not in missed and not is_time],
        "worst": {
            **worst.json(),
            "value": n,
            "limit": limit if is_time else round(limit),
            "unit": "of unpatched" if is_time else worst.unit,
        },
    }


def figure_cells(figure):
    ratios = [figure.ratio(*ratio) for ratio in RATIOS]
    return [
        figure.title(),
        *(str(figure.values.get(side, "-")) for side in SIDES),
        *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        figure.unit,
    ]


TIME_HEAD = [
    "case",
    *SIDES.values(),
    *(f"{SIDES[side]}/{SIDES[base]}" for side, base in TIME_RATIOS),
    "unit",
]


def ratio_cell(ratios):
    if ratios is None:
        return "-"
    digits = 2 if ratios[1] >= 0.1 else 4
    low, median, high = (f"{ratio:.{digits}f}" for ratio in ratios)
    return f"{median} ({low}..{high})"


def time_cells(figure):
    return [
        figure.title(),
        *(str(figure.values.get(side, "-")) for side in SIDES),
        *(ratio_cell(figure.ratios(*ratio)) for ratio in TIME_RATIOS),
        figure.unit,
    ]


def aligned(rows, numeric):
    """Pads each column; those in `numeric` to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = (
            cell.rjust(width) if i in numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        )
        yield "  ".join(cells).rstrip()


FIGURE_HEAD = [
    "case",
    *SIDES.values(),
    *(f"{SIDES[side]}/{SIDES[base]}" for side, base in RATIOS),
    "unit",
]
FIGURE_NUMERIC = range(1, len(FIGURE_HEAD) - 1)


TIME_NUMERIC = range(1, len(TIME_HEAD) - 1)


def print_table(figures, head, cells, numeric):
    if not figures:
        return
    lines = list(aligned([head, *map(cells, figures)], numeric))
    print(lines[0])
    case = None
    for figure, line in zip(figures, lines[1:]):
        if figure.case != case:
            print("-" * max(map(len, lines)))
        case = figure.case
        print(line)


def verdict(v):
    if v["as_expected"]:
        return "met" if v["met"] else "missed as known"
    return "MISSED" if "not known why" in v["missed"].values() else "MET where a miss was known"


def print_targets(verdicts):
    print()
    for v in verdicts:
        worst = v["worst"]
        where = " ".join(f"{k}={x}" for k, x in worst["parameters"].items())
        print(f"target: {v['target']} ... {verdict(v)}")
        print(
            f"        {len(v['missed'])} of {v['figures']} figures above their limit;"
            f" {'highest' if v['met'] else 'farthest'}: {worst['case']} {where}:"
            f" {worst['value']} {worst['unit']}, limit {worst['limit']}"
        )
        for title in v["not_missed"]:
            print(f"        {title}: known as a miss, but met")
        for title, why in v["missed"].items():
            print(f"        {title}: {why}")


def print_change(figures, path):
    """Tells by how much the figures that should repeat differ from those of the last run."""
    if not path.exists():
        return
    old = {
        (f["case"], tuple(f["parameters"].items()), side): f.get(side)
        for f in json.loads(path.read_text())["results"]
        for side in SIDES
    }
    changes = [
        (abs(n - last) / max(last, 1), f"{f.title()}, {side}")
        for f in figures
        if f.unit in COUNTED
        for side, n in f.values.items()
        if (last := old.get((f.case, tuple(f.parameters.items()), side))) is not None
    ]
    if changes:
        change, where = max(changes)
        print(f"\nLargest change of a count since the last run: {change:.2%} ({where})")


def rst_table(rows, numeric=()):
    lines = list(aligned(rows, numeric))
    rule = "  ".join("=" * max(map(len, column)) for column in zip(*rows))
    return [rule, lines[0], rule, *lines[1:], rule, ""]


def rst(figures, verdicts, header, head, cells, numeric):
    """The results as Documentation/ shows them."""
    boots = {name for f in figures for name in f.read_from}
    targets = [["target", "figures", "above the limit", "verdict"]]
    targets += [
        [v["target"], str(v["figures"]), str(len(v["missed"])), "met" if v["met"] else "missed"]
        for v in verdicts
    ]
    reasons = {}
    for v in verdicts:
        for title, why in v["missed"].items():
            reasons.setdefault((v["target"], why), []).append(f"``{title}``")
    lines = [
        ".. SPDX-License-Identifier: GPL-2.0",
        "",
        f".. Made by {header['command']}.",
        "",
        f"``{header['command']}`` on Linux {header['kernel']}.",
        "",
        *(
            f"* ``{name}``: {header['cpu'][name]}, {accel}"
            for name, accel in header["accel"].items()
            if name in boots
        ),
        *(
            f"* the clock of ``{name}``: {clock}"
            for name, clock in header["clock"].items()
            if name in boots
        ),
        "",
        *rst_table(targets, (1, 2)),
        *(f"* {target}: {why}: {', '.join(t)}" for (target, why), t in reasons.items()),
        "",
        *rst_table([head, *map(cells, figures)], numeric),
    ]
    return "\n".join(lines)


@dataclass
class Panel:
    title: str
    case: str
    x: str
    x_label: str
    y_label: str
    split: str  # the parameter that lines differ in
    lines: dict  # its values that are drawn, and what they are called
    sides: tuple = tuple(SIDES)


# Where C is the same without the patches, or does nothing where it should (NO_PINS).
C_AND_RUST = ("c", "rust")

CHANGED = {"edge": "edge route changed", "level": "level route changed"}

X86_PANELS = [
    Panel("Update: KVM_SET_GSI_ROUTING", "update", "routes", "routes in the table",
          "instructions", "changed", CHANGED),
    Panel("Scan by one vCPU", "scan", "reserved", "reserved pins, each with a level route",
          "instructions", "matching", {"none": "no route to it", "all": "all routes to it"},
          C_AND_RUST),
    Panel("vCPUs that an update asks to scan", "asked-to-scan", "vcpus", "vCPUs of the VM",
          "vCPUs", "changed", CHANGED, C_AND_RUST),
    Panel("Update of 48 routes", "update-of-crowd", "vcpus", "vCPUs of the VM",
          "instructions", "changed", CHANGED),
    Panel("Delivery to a SINT", "sint-delivery", "vcpus", "vCPUs of the VM",
          "instructions", "vp-index", {"same": "VP index = vCPU index",
                                       "reversed": "VP indexes reversed"}, C_AND_RUST),
    Panel("Memory of a table", "table-memory", "routes", "routes in the table",
          "bytes", None, {None: None}),
]  # fmt: skip

PANELS = {"x86": X86_PANELS, "arm64": [], "times": [], "host": []}


@dataclass
class Style:
    """How a side is drawn: where lines meet, each can be seen."""

    color: str
    marker: str
    size: float


STYLES = {
    "unpatched": Style("#b9b9b9", "D", 3.6),
    "c": Style("#d98a5f", "o", 2.4),
    "rust": Style("#12506b", "s", 1.3),
}
DASHES = ["-", "--"]


def draw(panel, axes, figures):
    ticks, values = set(), []
    for (line, label), dash in zip(panel.lines.items(), DASHES):
        wanted = {panel.split: line} if panel.split else {}
        found = sorted(figures.of(panel.case, **wanted), key=lambda f: f.parameters[panel.x])
        for side in panel.sides:
            style, name = STYLES[side], SIDES[side]
            ys = [f.values[side] for f in found]
            axes.plot(
                [f.parameters[panel.x] for f in found],
                ys,
                dash,
                color=style.color,
                linewidth=style.size,
                marker=style.marker,
                markersize=3 + 1.5 * style.size,
                markerfacecolor=style.color if dash == "-" else "white",
                label=f"{name}, {label}" if label else name,
                zorder=3 - 0.1 * style.size,
            )
            values += ys
        ticks |= {f.parameters[panel.x] for f in found}
    # A logarithm does not reach 0.
    if min(ticks) > 0:
        axes.set_xscale("log", base=2)
    else:
        axes.set_xscale("symlog", base=2, linthresh=1)
    top = 10 ** math.ceil(math.log10(max(values) + 1))
    if min(values) > 0:
        axes.set_yscale("log")
        axes.set_ylim(10 ** math.floor(math.log10(min(values))), top)
    else:
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(-0.2, top)
    axes.set_xticks(sorted(ticks), [str(t) for t in sorted(ticks)])
    axes.minorticks_off()
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.x_label, fontsize=8)
    axes.set_ylabel(panel.y_label, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(True, color="#dddddd", linewidth=0.5)
    axes.legend(fontsize=7, framealpha=0.9)


def chart(panels, figures, header, folder):
    # Times do without.
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "kvm_irqroute"
    import matplotlib.pyplot as plt

    columns = 3
    fig, axes = plt.subplots(
        -(-len(panels) // columns), columns, figsize=(13, 8), layout="constrained"
    )
    for panel, axis in zip(panels, axes.flat):
        draw(panel, axis, figures)
    fig.suptitle(
        f"Interrupt routes of KVM x86, Linux {header['kernel']}: C without the patches, with them,"
        " and Rust (log scales; less is better)",
        fontsize=12,
    )
    fig.savefig(folder / "chart.svg", metadata={"Date": None})
    svg = (folder / "chart.svg").read_text()
    declaration, rest = svg.split("\n", 1)
    svg = f"{declaration}\n<!-- SPDX-License-Identifier: GPL-2.0 -->\n{rest}"
    (folder / "chart.svg").write_text(svg)
    fig.savefig(folder / "chart.png", dpi=110, metadata={"Software": None})


def main():
    what, *places = sys.argv[1:]
    folder, *paths = map(pathlib.Path, places)
    header = {"command": COMMANDS[what], "cpu": {}, "accel": {}, "clock": {}}
    read_figures = {}
    for path in paths:
        read(path, header, read_figures)
    cases = list(dict.fromkeys(f.case for f in read_figures.values()))
    figures = Figures(sorted(read_figures.values(), key=lambda f: cases.index(f.case)))
    counted = Figures(f for f in figures if not f.turns)
    timed = Figures(f for f in figures if f.turns)
    verdicts = {target: judge(target, figures) for target in TARGETS[what]}
    verdicts = {target: verdict for target, verdict in verdicts.items() if verdict}

    print(f"Linux {header['kernel']}: KVM without our patches, its C with them, and Rust")
    print_table(counted, FIGURE_HEAD, figure_cells, FIGURE_NUMERIC)
    if timed:
        print("\nTimes: medians of turns, and of their ratios, with the quartiles of these")
        print_table(timed, TIME_HEAD, time_cells, TIME_NUMERIC)
    print_targets(verdicts.values())
    print_change(figures, folder / "results.json")

    results = {
        "header": header,
        "results": [f.json() for f in figures],
        "targets": list(verdicts.values()),
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    for name, found, *table in (
        ("results.rst", counted, FIGURE_HEAD, figure_cells, FIGURE_NUMERIC),
        ("times.rst", timed, TIME_HEAD, time_cells, TIME_NUMERIC),
    ):
        if found:
            judged = [v for t, v in verdicts.items() if isinstance(t, TimeTarget) == (found is timed)]
            (folder / name).write_text(rst(found, judged, header, *table))
    if PANELS[what]:
        chart(PANELS[what], figures, header, folder)
    print(f"\nIn {folder}: {', '.join(sorted(p.name for p in folder.iterdir()))}")
    # Times depend on what else the machine does: they are reported, and fail nothing.
    failed = [t for t, v in verdicts.items() if not (v["as_expected"] or isinstance(t, TimeTarget))]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
