import json
import unittest
from pathlib import Path

from longshore_guest.testing import invoke

from handler import handle


def sample(name: str) -> bytes:
    return Path(__file__).with_name("samples").joinpath(name).read_bytes()


class Handler(unittest.TestCase):
    def test_an_order_becomes_an_invoice(self):
        outcome = invoke(handle, sample("good.json"), config={"currency": "EUR"})
        self.assertEqual(outcome.name, "completed", outcome)
        self.assertEqual(outcome.sent[0].outbox, "invoices")
        invoice = {"order_id": "o-1", "total_cents": 300, "currency": "EUR"}
        self.assertEqual(json.loads(outcome.sent[0].body), invoice)

    def test_a_body_that_does_not_fit_is_rejected(self):
        outcome = invoke(handle, sample("bad.json"))
        self.assertEqual((outcome.name, outcome.reason), ("rejected", "items[0].qty: expected int, got str"))

    def test_an_order_without_items_is_tried_again(self):
        outcome = invoke(handle, sample("retried.json"))
        self.assertEqual((outcome.name, outcome.reason), ("retry", "the order has no items yet"))
        self.assertEqual(outcome.sent, ())


if __name__ == "__main__":
    unittest.main()
