#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Draws time and memory over the size of the index as SVG, from the results of the part `sizes`.

Usage: plot.py RESULTS.json OUT.svg
"""

import json
import math
import sys
from pathlib import Path

WIDTH, HEIGHT = 860, 400
PANEL_WIDTH, PANEL_HEIGHT = 310, 260
TOP = 70
# Seen on white and on black alike.
STYLE = """
svg { color-scheme: light dark; }
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 14px; font-weight: 600; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.axis { stroke: #57606a; stroke-width: 1; }
.line { fill: none; stroke-width: 2; }
.s0 { stroke: #0969da; fill: #0969da; }
.s1 { stroke: #1a7f37; fill: #1a7f37; }
.s2 { stroke: #cf222e; fill: #cf222e; }
.s3 { stroke: #8250df; fill: #8250df; }
path.line { fill: none; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.grid { stroke: #30363d; }
.axis { stroke: #8b949e; }
.s0 { stroke: #58a6ff; fill: #58a6ff; }
.s1 { stroke: #3fb950; fill: #3fb950; }
.s2 { stroke: #ff7b72; fill: #ff7b72; }
.s3 { stroke: #bc8cff; fill: #bc8cff; }
path.line { fill: none; }
}
"""


class Scale:
    """A logarithmic axis over whole powers of ten that hold all values."""

    def __init__(self, values, begin, end):
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self.begin, self.end = begin, end

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        return [10**power for power in range(self.low, self.high + 1)]


def short(value, units):
    """1500 as "1.5 k"; units: [(limit, text)], the largest first."""
    for limit, text in units:
        if value >= limit:
            return f"{value / limit:g}{text}"
    return f"{value:g}"


COUNTS = [(10**6, "M"), (10**3, "k")]
TIMES = [(10**6, " ms"), (10**3, " µs"), (1, " ns")]
SIZES = [(10**9, " GB"), (10**6, " MB"), (10**3, " kB")]


def panel(left, title, units, series):
    """series: [(label, class, [(names, value)])]; values of 0 or less can't be drawn."""
    series = [(label, style, [p for p in points if p[1] > 0]) for label, style, points in series]
    series = [one for one in series if one[2]]
    if not series:
        return []
    xs = Scale([x for _, _, points in series for x, _ in points], left, left + PANEL_WIDTH)
    ys = Scale([y for _, _, points in series for _, y in points], TOP + PANEL_HEIGHT, TOP)
    out = [f'<text class="title" x="{left}" y="{TOP - 14}">{title}</text>']
    for tick in xs.ticks():
        x, foot = xs.at(tick), TOP + PANEL_HEIGHT
        out.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{foot}"/>')
        label = short(tick, COUNTS)
        out.append(f'<text text-anchor="middle" x="{x:.1f}" y="{foot + 18}">{label}</text>')
    for tick in ys.ticks():
        y, right = ys.at(tick), left + PANEL_WIDTH
        out.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        label = short(tick, units)
        out.append(f'<text text-anchor="end" x="{left - 6}" y="{y + 4:.1f}">{label}</text>')
    for number, (label, style, points) in enumerate(series):
        places = [(xs.at(x), ys.at(y)) for x, y in sorted(points)]
        path = " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        out.append(f'<path class="line {style}" d="M{path}"/>')
        out += [f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
        x, y = left + (number % 2) * 165, TOP + PANEL_HEIGHT + 42 + (number // 2) * 18
        out.append(f'<rect class="{style}" x="{x}" y="{y - 9}" width="10" height="10"/>')
        out.append(f'<text x="{x + 16}" y="{y}">{label}</text>')
    return out


def draw(sizes):
    """sizes: the details of the part `sizes`."""
    gate = [one for one in sizes if "uniform_ns" in one]
    rpz = [one for one in sizes if "uniform_ns" not in one]

    def points(of, key, factor=1.0):
        return [(one["names"], one[key] * factor) for one in of]

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>Time and memory over the size of the index</title>",
        f"<style>{STYLE}</style>",
    ]
    out += ['<text x="70" y="24">filed names across, both axes logarithmic</text>']
    out += panel(
        70,
        "time of a judgement; time more for an answer",
        TIMES,
        [
            ("judgement, uniform", "s0", points(gate, "uniform_ns")),
            ("judgement, Zipf", "s1", points(gate, "zipf_ns")),
            ("answer, Unbound RPZ", "s2", points(rpz, "added_cpu_us", 1e3)),
            ("answer, icpgate", "s3", points(gate, "added_cpu_us", 1e3)),
        ],
    )
    out += panel(
        500,
        "memory",
        SIZES,
        [
            ("icpgate, store (shared)", "s0", points(gate, "store")),
            ("icpgate, private", "s1", points(gate, "private")),
            ("Unbound RPZ, private", "s2", points(rpz, "private")),
        ],
    )
    return "\n".join([*out, "</svg>"]) + "\n"


def write(path, sizes):
    path.write_text(draw(sizes), encoding="utf-8")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip().rsplit("\n", maxsplit=1)[-1])
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    write(Path(sys.argv[2]), [row["details"] for row in results.get("sizes", [])])


if __name__ == "__main__":
    main()
