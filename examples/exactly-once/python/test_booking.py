import dataclasses
import json
import unittest
from pathlib import Path

from longshore_guest import handler
from longshore_guest.testing import invoke

from booking import Payment

CASES = json.loads(Path(__file__).with_name("..").joinpath("cases.json").read_text())
booked: list[Payment] = []


@handler
def keep(payment: Payment) -> None:
    booked.append(payment)


class Booking(unittest.TestCase):
    def test_each_body_of_the_table_is_a_booking_or_is_rejected(self):
        for case in CASES:
            with self.subTest(case["name"]):
                outcome = invoke(keep, case["body"])
                if "booking" in case:
                    self.assertEqual(dataclasses.asdict(booked[-1]), case["booking"])
                    continue
                self.assertEqual(outcome.name, "rejected")
                self.assertNotIn("secret", outcome.reason)


if __name__ == "__main__":
    unittest.main()
