import dataclasses
import json
import unittest
from pathlib import Path

from booking import NoPayment, Payment

CASES = json.loads(Path(__file__).with_name("..").joinpath("cases.json").read_text())


class Booking(unittest.TestCase):
    def test_each_body_of_the_table_is_a_booking_or_is_rejected(self):
        for case in CASES:
            with self.subTest(case["name"]):
                if "booking" in case:
                    self.assertEqual(dataclasses.asdict(Payment.parse(case["body"].encode())), case["booking"])
                    continue
                with self.assertRaises(NoPayment) as raised:
                    Payment.parse(case["body"].encode())
                self.assertNotIn("secret", str(raised.exception))


if __name__ == "__main__":
    unittest.main()
