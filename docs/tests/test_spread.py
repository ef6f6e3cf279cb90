"""What `make bench RUNS=5` prints of five runs."""

import sys
import unittest

from pages import ROOT

sys.path.insert(0, str(ROOT / "host/longshore/benches"))

import spread  # noqa: E402


class Spread(unittest.TestCase):
    def test_each_figure_has_its_median_and_its_spread_and_what_never_changes_has_none(self):
        outputs = [f"at 16: {rate} a second, {cpu} ms" for rate, cpu in (("12,000", "0.20"), ("9000", "0.25"), ("11,000", "0.20"))]
        self.assertEqual(spread.report(outputs), "at 16: 11000 (9000 to 12000) a second, 0.20 (0.20 to 0.25) ms")

    def test_a_figure_may_be_less_than_nothing_and_a_digit_in_a_word_is_none(self):
        self.assertEqual(spread.report(["p50 -2.0 %", "p50 1.5 %"]), "p50 -0.2 (-2.0 to 1.5) %")

    def test_lines_of_the_same_words_are_beside_each_other_in_their_order(self):
        self.assertEqual(spread.report(["a  1\na 10\n", "a 3\na  30\n"]), "a  2 (1 to 3)\na 20 (10 to 30)")

    def test_a_line_that_only_some_runs_have_says_so(self):
        self.assertEqual(spread.report(["a 1\nhung", "a 1\nother 2"]), "a 1\nhung  [in 1 of 2 runs]\nother 2  [in 1 of 2 runs]")

    def test_a_row_that_is_missing_or_has_other_words_in_one_run_leaves_the_others_beside_their_like(self):
        one = "at 16\n  ours 10, 1 %\n  theirs 5, 1 %\nat 64\n  ours 20, 2 %\n  theirs 6, 2 %"
        two = "at 16\n  ours hung\n  theirs 5, 1 %\nat 64\n  ours 30, 3 %\n  theirs 8, the limit, 4 %"
        self.assertEqual(
            spread.report([one, two]).splitlines(),
            [
                "at 16",
                "  ours 10, 1 %  [in 1 of 2 runs]",
                "  ours hung  [in 1 of 2 runs]",
                "  theirs 5, 1 %",
                "at 64",
                "  ours 25 (20 to 30), 2 (2 to 3) %",
                "  theirs 7 (6 to 8), 3 (2 to 4) %",
            ],
        )
