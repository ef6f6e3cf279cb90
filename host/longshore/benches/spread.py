"""Runs a benchmark several times, and prints what it printed with the median and the spread of every figure: spread.py RUNS COMMAND…"""

import re
import statistics
import subprocess
import sys
from collections import Counter

FIGURE = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")


def figures(line: str) -> list[float]:
    return [float(it.replace(",", "")) for it in FIGURE.findall(line)]


def keyed(output: str) -> dict[tuple[str, int], str]:
    """The lines by what they are about: their words, and how often these came before."""
    seen: Counter[str] = Counter()
    lines = {}
    for line in output.splitlines():
        # One figure is wider than another.
        words = " ".join(FIGURE.sub("#", line).split())
        lines[words, seen[words]] = line
        seen[words] += 1
    return lines


def written(values: list[float], decimals: int) -> str:
    least, median, most = (f"{it:.{decimals}f}" for it in (min(values), statistics.median(values), max(values)))
    return median if least == most else f"{median} ({least} to {most})"


def merged(line: str, runs: list[str], of: int) -> str:
    """A line with the median, the least and the most of each of its figures."""
    columns = iter(zip(*map(figures, runs), strict=True))

    def spread(figure: re.Match[str]) -> str:
        return written(list(next(columns)), len(figure[0].partition(".")[2]))

    return FIGURE.sub(spread, line) + ("" if len(runs) == of else f"  [in {len(runs)} of {of} runs]")


def report(outputs: list[str]) -> str:
    runs = [keyed(it) for it in outputs]
    # In the order of the first run, and behind it what only later ones have.
    lines = {key: line for run in reversed(runs) for key, line in run.items()}
    order = dict.fromkeys(key for run in runs for key in run)
    return "\n".join(merged(lines[key], [run[key] for run in runs if key in run], len(runs)) for key in order)


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
