import json
import unittest
from pathlib import Path

from longshore_guest import Reject

import invoice

CASES = json.loads(Path(__file__).with_name("..").joinpath("cases.json").read_text())


class Invoice(unittest.TestCase):
    def test_each_order_of_the_table_becomes_its_invoice_or_is_rejected(self):
        for case in CASES:
            with self.subTest(case["name"]):
                if "invoice" in case:
                    self.assertEqual(invoice.of(case["order"].encode()), case["invoice"])
                    continue
                with self.assertRaises(Reject) as raised:
                    invoice.of(case["order"].encode())
                self.assertNotIn("secret", str(raised.exception))

    def test_only_plain_names_below_incoming_are_taken(self):
        self.assertEqual(invoice.name("incoming/o-1.json"), "invoices/o-1.json")
        for blob in ["", "o-1.json", "incoming/", "incoming/..", "incoming/../x", "incoming/a/b", "incoming/a%2f", "invoices/o", None, 7]:
            with self.subTest(blob), self.assertRaises(Reject):
                invoice.name(blob)


if __name__ == "__main__":
    unittest.main()
