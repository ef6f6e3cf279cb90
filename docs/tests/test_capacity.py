"""The page on scale says what its program computes, and the program counts right."""

import sys
import unittest
from dataclasses import replace

from pages import DOCS, ROOT

sys.path.insert(0, str(ROOT / "infra/capacity"))

import capacity  # noqa: E402
import simulation  # noqa: E402

PAGE = DOCS / "internals/scale.md"
AS_IT_IS = capacity.Assumptions()
# Nothing fails, and every limit and execution is used up to the last message.
FULL = replace(AS_IT_IS, failing=0, headroom=1, utilisation=1)


class Page(unittest.TestCase):
    def test_the_page_has_the_output_of_the_program(self):
        self.assertEqual(
            capacity.written(PAGE.read_text(), capacity.sections(AS_IT_IS)),
            PAGE.read_text(),
            "write it anew: python3 infra/capacity/capacity.py --page docs/internals/scale.md",
        )

    def test_a_page_without_a_block_for_a_part_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "0 blocks after `<!-- capacity: storage -->`"):
            capacity.written("", {"storage": []})


class Figures(unittest.TestCase):
    def test_each_figure_says_what_it_is_and_where_it_is_from(self):
        for group in capacity.FIGURES["measured"].values():
            for it in group.values():
                self.assertEqual(set(it), {"value", "what", "command", "date"})
                self.assertRegex(it["command"], "^(make bench|cargo test) ")
        for kind in ("limits", "prices"):
            for it in capacity.FIGURES[kind].values():
                self.assertEqual(set(it), {"value", "what", "source", "read"})
                self.assertTrue(it["source"].startswith("https://"), it)


class Arithmetic(unittest.TestCase):
    def test_a_message_on_storage_takes_a_put_a_delete_and_its_share_of_a_receive(self):
        self.assertAlmostEqual(capacity.requests(FULL).all, 2 + 158 / 5000)
        self.assertEqual(capacity.requests(FULL, receive=1).all, 3)

    def test_a_message_that_fails_once_is_updated_and_received_again(self):
        each = capacity.requests(replace(FULL, failing=0.5), receive=1)
        self.assertEqual((each.update, each.receive), (0.5, 1.5))

    def test_accounts_are_enough_for_all_requests_and_queues_for_all_messages(self):
        for rate in (1, 1_999, 2_001, 100_000):
            plan = capacity.storage(replace(AS_IT_IS, rate=rate))
            self.assertLessEqual(rate * plan.requests.all, plan.accounts * 20_000 * 0.8)
            self.assertLessEqual(rate, plan.queues * 2_000 * 0.8)
            self.assertEqual(plan.queues % plan.accounts, 0)
            self.assertLessEqual(rate, plan.executions * capacity.execution_rate(AS_IT_IS, "storage"))
            self.assertEqual(plan.executions % plan.queues, 0)

    def test_an_execution_is_as_fast_as_its_slots_or_its_processor(self):
        slow = replace(FULL, handler_ms=995, round_trip_ms=5, concurrency=16)
        self.assertAlmostEqual(capacity.execution_rate(slow, "storage"), 16)
        fast = replace(FULL, handler_ms=0, round_trip_ms=1, vcpu=0.61)
        self.assertAlmostEqual(capacity.execution_rate(fast, "storage"), 1000)

    def test_credits_of_standard_are_spent_on_sending_and_receiving(self):
        self.assertEqual(capacity.standard_namespaces(replace(FULL, rate=500)), 1)
        self.assertEqual(capacity.standard_namespaces(replace(FULL, rate=501)), 2)

    def test_units_of_premium_follow_the_bytes_and_come_in_its_sizes(self):
        one = capacity.premium(replace(FULL, rate=3_900))
        self.assertEqual((one.units, one.namespaces, one.units_each), (1, 1, 4))
        many = capacity.premium(replace(FULL, rate=300_000))
        self.assertEqual((many.units, many.namespaces, many.units_each), (77, 2, 64))

    def test_costs_are_requests_and_seconds_by_their_prices(self):
        self.assertAlmostEqual(capacity.requests_cost(10_000), 0.004)
        hour = capacity.container_hour(replace(FULL, vcpu=1, gib=2), 10)
        self.assertAlmostEqual(hour, 10 * 3600 * (0.000024 + 2 * 0.000003))


class Simulation(unittest.TestCase):
    def test_every_message_is_handled_once_and_each_seed_repeats(self):
        case = simulation.Case(3, 2, 500)
        first = simulation.run(case)
        self.assertEqual((first.messages, first.deletes), (1500, 1500))
        self.assertEqual(simulation.run(case), first)
        self.assertNotEqual(simulation.run(case, seed=2), first)

    def test_fast_handlers_get_full_batches(self):
        for concurrency in (16, 64):
            outcome = simulation.run(simulation.Case(1, 1, 5000, concurrency))
            self.assertLessEqual(outcome.receives, 1.15 * 5000 / 32)

    def test_a_queue_gives_no_more_than_its_target(self):
        outcome = simulation.run(simulation.Case(1, 4, 20_000, queue_messages_per_second=1000))
        self.assertLessEqual(20_000 / outcome.seconds, 1000)
        self.assertGreater(20_000 / outcome.seconds, 900)

    def test_what_waits_for_a_slot_starts_within_a_second(self):
        for handler_s in (0.0005, 0.02, 0.2, 1):
            outcome = simulation.run(simulation.Case(1, 2, 1000, handler_s=handler_s))
            self.assertLess(outcome.longest_wait_s, 1 + handler_s, handler_s)

    def test_an_execution_that_finds_nothing_makes_as_many_requests_as_were_measured(self):
        outcome = simulation.run(simulation.Case(1, 7, 0))
        measured = capacity.figure("measured", "storage", "requests_of_an_empty_execution")
        self.assertEqual((outcome.idle_executions, outcome.requests), (7, 7 * measured))

    def test_the_constants_are_those_of_the_worker(self):
        worker = ROOT / "host/worker/src"
        said = {
            "intake.rs": (
                f"MAX_RECEIVES_IN_FLIGHT: usize = {simulation.MAX_RECEIVES_IN_FLIGHT};",
                f"MIN_GAP: Duration = Duration::from_millis({simulation.MIN_GAP_S * 1000:g});",
                f"AHEAD: Duration = Duration::from_millis({simulation.AHEAD_S * 1000:g});",
                f"MAX_AHEAD: usize = {simulation.MAX_AHEAD};",
            ),
            "rate.rs": (
                f"MESSAGES: usize = {simulation.RATE_OF};",
                f"AT_MOST_TIMES_SEEN: usize = {simulation.AT_MOST_TIMES_SEEN};",
            ),
            "drain.rs": (f"EMPTY_FOR: Duration = Duration::from_secs({simulation.EMPTY_FOR_S:g});",),
        }
        for file, constants in said.items():
            for it in constants:
                self.assertIn(it, (worker / file).read_text(), file)


if __name__ == "__main__":
    unittest.main()
