"""Runs a benchmark several times, and prints what it printed with the median and the spread of every figure: spread.py RUNS COMMAND…"""

import difflib
import re
import statistics
import subprocess
import sys
from itertools import zip_longest

FIGURE = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")


def figures(line: str) -> list[float]:
    return [float(it.replace(",", "")) for it in FIGURE.findall(line)]


def words(line: str) -> str:
    """What a line is about. One figure is wider than another."""
    return " ".join(FIGURE.sub("#", line).split())


def label(line: str) -> tuple[str, int]:
    """What a row begins with, and how many figures it has: its other words may differ from run to run."""
    return words(line).partition("#")[0], len(figures(line))


def beside(rows: list[list[str]], output: str) -> list[list[str]]:
    """The rows with the lines of one more run, each beside its like, and those that are new at their place."""
    lines = output.splitlines()
    # Rows of the same words stand under several headings, so their order tells which is which.
    heads = [row[0] for row in rows]
    matcher = difflib.SequenceMatcher(None, [*map(words, heads)], [*map(words, lines)], autojunk=False)
    after: list[list[str]] = []
    for kind, i, j, m, n in matcher.get_opcodes():
        pairs = zip_longest(rows[i:j], lines[m:n])
        for row, line in pairs:
            if row and line and (kind == "equal" or label(row[0]) == label(line)):
                after.append([*row, line])
            else:
                after += ([row] if row else []) + ([[line]] if line else [])
    return after


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
    rows: list[list[str]] = []
    for output in outputs:
        rows = beside(rows, output)
    return "\n".join(merged(row, len(outputs)) for row in rows)


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
