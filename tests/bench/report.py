# SPDX-License-Identifier: BSD-3-Clause
"""One table of what was measured, as text or as Markdown."""

import textwrap

# The table stands between these in the document.
BEGIN, END = "<!-- make bench -->", "<!-- end -->"


def show(value, unit):
    if unit == "ratio":
        return f"{value:.3f}"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    return f"{text} {unit}".strip()


def verdict(row):
    """met, missed, or nothing where there is no target."""
    if not row["target"]:
        return ""
    sign, limit = row["target"]
    met = row["figure"] >= limit if sign == ">=" else row["figure"] <= limit
    return "met" if met else "missed"


def cells(row):
    target = f"{row['target'][0]} {show(row['target'][1], row['unit'])}" if row["target"] else ""
    return [row["what"], show(row["figure"], row["unit"]), target, verdict(row), row["note"]]


HEAD = ["what", "measured", "target", "verdict", "beside it"]


def text_table(rows):
    table = [HEAD, *map(cells, rows)]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    lines = []
    for line in table:
        fixed = [cell.ljust(width) for cell, width in zip(line[:4], widths)]
        lines.append("  ".join(fixed).rstrip())
        lines += textwrap.wrap(line[4], 96, initial_indent="    ", subsequent_indent="    ")
    del lines[1]  # The title of the notes stands in no column.
    return "\n".join(lines)


def markdown_table(rows):
    lines = ["| " + " | ".join(HEAD) + " |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row)) + " |")
    return "\n".join(lines)


PLOT = """
The plot's times for an answer are CPU time of the daemon for an answer to an unfiled name, which must be
judged each time, less the same without the policy.

![Time and memory over the size of the index](scaling.svg)
"""


def write(path, rows, plotted):
    """Puts the table, with the plot below if there is one, into a document, in place of what is there."""
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, maxsplit=1)
    _, tail = rest.split(END, maxsplit=1)
    below = PLOT if plotted else ""
    text = f"{head}{BEGIN}\n{markdown_table(rows)}\n{below}{END}{tail}"
    path.write_text(text, encoding="utf-8")
