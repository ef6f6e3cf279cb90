"""Runs a benchmark several times, and prints what it printed with the median and the spread of every figure: spread.py RUNS COMMAND…"""

import re
import statistics
import subprocess
import sys
from collections import Counter

FIGURE = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")


def figures(line: str) -> list[float]:
    return [float(it.replace(",", "")) for it in FIGURE.findall(line)]


def words(line: str) -> str:
    """What a line is about. One figure is wider than another."""
    return " ".join(FIGURE.sub("#", line).split())


def keyed(output: str, common: set[str]) -> dict[tuple[str, str, int], str]:
    """The lines by what they are about, and how often that came before.

    An indented row stands below its heading, whose figures are those of the row's table; it is known by what it begins with and by how
    many figures it has, since its other words may differ from run to run. Another line is known by its words."""
    seen: Counter[tuple[str, str]] = Counter()
    lines = {}
    heading = ""
    for line in output.splitlines():
        about = heading, f"{words(line).partition('#')[0]}{len(figures(line))}"
        if not line.startswith(" "):
            # What was measured, and differs, is no name of a table.
            heading = line if line in common else words(line)
            about = "", words(line)
        lines[(*about, seen[about])] = line
        seen[about] += 1
    return lines


def written(values: list[float], decimals: int) -> str:
    least, median, most = (f"{it:.{decimals}f}" for it in (min(values), statistics.median(values), max(values)))
    return median if least == most else f"{median} ({least} to {most})"


def merged(runs: list[str], of: int) -> str:
    """The line of the first of these runs with the median, the least and the most of each of its figures."""
    columns = iter(zip(*map(figures, runs), strict=True))

    def spread(figure: re.Match[str]) -> str:
        return written(list(next(columns)), len(figure[0].partition(".")[2]))

    return FIGURE.sub(spread, runs[0]) + ("" if len(runs) == of else f"  [in {len(runs)} of {of} runs]")


def report(outputs: list[str]) -> str:
    common = set.intersection(*(set(it.splitlines()) for it in outputs))
    runs = [keyed(it, common) for it in outputs]
    # A line that the runs before had not comes behind the line that it follows, and behind those that this run has not.
    order: list[tuple[str, str, int]] = []
    for run in runs:
        at = 0
        for key in run:
            if key in order:
                at = order.index(key) + 1
                continue
            while at < len(order) and order[at] not in run:
                at += 1
            order.insert(at, key)
            at += 1
    return "\n".join(merged([run[key] for run in runs if key in run], len(runs)) for key in order)


def main(runs: int, command: list[str]) -> None:
    outputs = []
    for run in range(1, runs + 1):
        print(f"run {run} of {runs}", file=sys.stderr, flush=True)
        outputs.append(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        if run < runs:
            print(outputs[-1], file=sys.stderr, flush=True)
    print(f"the median of {runs} runs, and in parentheses the least and the most where they differ\n{report(outputs)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
