import contextlib
import dataclasses
import enum
import io
import logging
import os
import unittest
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

from longshore_guest import Message, Reject, Retry, config, handler, outbox, session
from longshore_guest._failure import causes, milliseconds
from longshore_guest.testing import invoke, message


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    qty: int
    price: float = 0.0
    colour: Colour = Colour.RED


@dataclass
class Order:
    order_id: str
    items: list[Item] = field(default_factory=list)
    note: str | None = None
    extra: Any = None
    tags: dict[str, int] = field(default_factory=dict)
    pair: tuple[int, str] | None = None
    speed: Literal["fast", "slow"] = "slow"
    due: date | None = None
    next: "Order | None" = None

    def __post_init__(self) -> None:
        if not self.order_id:
            raise ValueError("order_id must not be empty")


seen: list[Order] = []


@handler
def handle(order: Order, message: Message) -> None:
    seen.append(order)
    outbox.send("invoices", order.items, {"id": message.id})
    match order.note:
        case "retry":
            raise Retry("later", delay=timedelta(minutes=1))
        case "reject":
            raise Reject("never")
        case "bug":
            {}["cents"]
        case "setting":
            outbox.send("invoices", config.require("currency"))
        case "log":
            logging.getLogger("orders.prices").debug("two\nlines")
            logging.critical("%d is enough", 1)
            logging.getLogger("unittest.case").debug("what a package says")
        case "cause":
            try:
                int("secret")
            except ValueError as error:
                raise Retry("no number") from error
        case "bug in a package":
            os.stat("/there is no such file")


@handler
def take_bytes(body: bytes) -> None:
    outbox.send("copies", body)


def plain(order: Order) -> None: ...


class Bodies(unittest.TestCase):
    def test_a_body_becomes_its_type(self):
        body = b"""{"order_id": "o-1", "items": [{"qty": 2, "price": 3, "colour": "blue"}], "extra": [1], "tags": {"a": 1},
            "pair": [1, "x"], "speed": "fast", "due": "2026-11-26", "next": {"order_id": "o-2"}, "unknown": true}"""
        self.assertEqual(invoke(handle, body).name, "completed")
        items = [Item(2, 3.0, Colour.BLUE)]
        expected = Order("o-1", items, None, [1], {"a": 1}, (1, "x"), "fast", date(2026, 11, 26), Order("o-2"))
        self.assertEqual(seen[-1], expected)
        self.assertIs(type(seen[-1].items[0].price), float)

    def test_a_reason_names_the_field_and_the_cause_and_holds_no_value(self):
        for body, reason in [
            (b"", "body: empty"),
            (b"secret", "body: not JSON: at line 1 column 1"),
            (b'{"order_id": NaN}', "body: not JSON"),
            (b'\xffsecret', "body: not UTF-8: invalid byte at offset 0"),
            (b"[" * 100_000, "body: nested too deep"),
            (b'"secret"', "body: expected Order, got str"),
            (b"{}", "order_id: missing field"),
            (b'{"order_id": 7}', "order_id: expected str, got int"),
            (b'{"order_id": null}', "order_id: expected str, got None"),
            (b'{"order_id": ""}', "body: order_id must not be empty"),
            (b'{"order_id": "a", "items": {}}', "items: expected list, got dict"),
            (b'{"order_id": "a", "items": [{"qty": 1}, {"qty": "secret"}]}', "items[1].qty: expected int, got str"),
            (b'{"order_id": "a", "items": [{"qty": true}]}', "items[0].qty: expected int, got bool"),
            (b'{"order_id": "a", "items": [{"qty": 1.5}]}', "items[0].qty: expected int, got float"),
            (b'{"order_id": "a", "items": [{}]}', "items[0].qty: missing field"),
            (b'{"order_id": "a", "items": [{"qty": 1, "price": 1%s}]}' % (b"0" * 400), "items[0].price: expected float, got another int"),
            (b'{"order_id": "a", "items": [{"qty": 1, "colour": "secret"}]}', "items[0].colour: expected one of red, blue, got another str"),
            (b'{"order_id": "a", "note": 1}', "note: expected str or None, got int"),
            (b'{"order_id": "a", "tags": {"b": "secret"}}', "tags.b: expected int, got str"),
            (b'{"order_id": "a", "pair": [1]}', "pair: expected tuple or None, got list"),
            (b'{"order_id": "a", "pair": [1, 2]}', "pair[1]: expected str, got int"),
            (b'{"order_id": "a", "speed": "secret"}', "speed: expected one of fast, slow, got another str"),
            (b'{"order_id": "a", "due": "secret"}', "due: expected date or None, got str"),
            (b'{"order_id": "a", "next": {"order_id": 7}}', "next.order_id: expected str, got int"),
        ]:
            with self.subTest(body[:60]):
                outcome = invoke(handle, body)
                self.assertEqual((outcome.name, outcome.reason), ("rejected", reason))

    def test_a_path_is_cut_when_a_key_is_long(self):
        reason = invoke(handle, {"order_id": "a", "tags": {"k" * 10_000: "x"}}).reason
        self.assertTrue(reason.endswith("k…: expected int, got str") and len(reason) < 300, reason)

    def test_bytes_are_taken_as_they_are(self):
        self.assertEqual(invoke(take_bytes, b"\xff").sent[0].body, b"\xff")

    def test_a_type_that_json_cannot_hold_is_refused_when_it_is_decorated(self):
        def takes_a_set(body: set[int]) -> None: ...
        async def is_asynchronous(body: bytes) -> None: ...
        for function in (takes_a_set, is_asynchronous, lambda: None):
            with self.assertRaises(TypeError):
                handler(function)


class Outcomes(unittest.TestCase):
    def of(self, note, **fields):
        return invoke(handle, Order("o-1", [Item(1)], note), **fields)

    def test_what_is_raised_is_the_outcome(self):
        retry, reject = self.of("retry"), self.of("reject")
        self.assertEqual((retry.name, retry.reason, retry.delay), ("retry", "later", 60.0))
        self.assertEqual((reject.name, reject.reason), ("rejected", "never"))
        self.assertEqual((retry.sent, reject.sent), ((), ()))

    def test_any_other_exception_is_a_retry_that_names_its_type_its_words_and_its_place(self):
        bug = self.of("bug")
        self.assertEqual(bug.name, "retry")
        self.assertRegex(bug.reason, r"^KeyError: 'cents' at test_handler\.py:\d+ in handle$")
        self.assertIsInstance(bug.error, KeyError)
        self.assertRegex(self.of("bug in a package").reason, r"^FileNotFoundError: .* at test_handler\.py:\d+ in handle$")

    def test_what_was_logged_is_kept_with_its_level_and_its_logger(self):
        level = logging.getLogger().level
        said = [(it.level, it.text, it.context) for it in self.of("log").log]
        self.assertEqual(said, [("debug", "two", "orders.prices"), ("debug", "lines", "orders.prices"), ("critical", "1 is enough", "")])
        self.assertEqual((self.of(None).log, logging.getLogger().level), ((), level))

    def test_a_half_of_a_character_ends_no_handler_and_is_shown_as_such(self):
        @handler
        def say(wish: str, given: Message) -> None:
            logging.getLogger("shop").info("%s: %s", wish, "\ud800 and \U0001f600")
            if wish == "send":
                outbox.send("copies", b"x", {"name": "\udfff"})
            raise {"reject": Reject, "retry": Retry, "fail": ValueError}[wish]("no \ud800 left")

        for wish, name, reason in (("reject", "rejected", "no \ufffd left"), ("retry", "retry", "no \ufffd left"), ("fail", "retry", "ValueError: no \ufffd left")):
            outcome = invoke(say, f'"{wish}"')
            self.assertEqual((outcome.name, outcome.reason[: len(reason)]), (name, reason))
            self.assertEqual(outcome.log[0].text, f"{wish}: \ufffd and \U0001f600")
        self.assertRegex(invoke(say, '"send"').reason, "^UnicodeEncodeError: ")

    def test_no_line_of_the_log_is_larger_than_what_the_host_takes_and_none_ends_the_handler(self):
        @handler
        def say(wish: str) -> None:
            logging.getLogger("shop").warning("%s\n\nend", "\u6f22" * 400_000)
            logging.getLogger("shop").warning("%d", wish)

        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            outcome = invoke(say, '"x"')
        lines = [it.text for it in outcome.log]
        self.assertEqual((outcome.name, "".join(lines), lines[-2:]), ("completed", "\u6f22" * 400_000 + "end", ["", "end"]))
        self.assertLess(max(len(it.encode()) for it in lines), 1 << 20)
        self.assertIn("Logging error", stderr.getvalue())

    def test_a_delay_is_a_whole_number_that_the_contract_has(self):
        delays = (None, 0.25, -1.0, float("nan"), float("inf"), 1e300)
        self.assertEqual([milliseconds(it) for it in delays], [None, 250, 0, None, 10**12, 10**12])

    def test_of_what_a_failure_was_raised_from_its_type_and_its_places_are_shown_and_not_its_words(self):
        retry = self.of("cause").error
        cause, place = causes(retry)
        self.assertEqual(cause, "caused by ValueError")
        self.assertRegex(place, r"^    at .*test_handler\.py:\d+ in handle$")
        retry.__cause__.__cause__ = retry
        self.assertEqual(len(causes(retry)), 50)

    def test_what_was_sent_is_read_as_text_and_as_json(self):
        sent = self.of(None).sent[0]
        self.assertEqual((sent.text(), sent.json()), ('[{"qty":1,"price":0.0,"colour":"red"}]', [{"qty": 1, "price": 0.0, "colour": "red"}]))

    def test_bytes_of_any_kind_are_sent_as_they_are_and_what_json_cannot_hold_is_refused(self):
        @handler
        def send(kind: str) -> None:
            outbox.send("copies", {"array": bytearray(b"x"), "view": memoryview(b"x"), "nan": float("nan"), "set": {1}}[kind])

        for kind in ("array", "view"):
            self.assertEqual(invoke(send, f'"{kind}"').sent[0].body, b"x")
        for kind, error in (("nan", "ValueError"), ("set", "TypeError")):
            self.assertRegex(invoke(send, f'"{kind}"').reason, f"^{error}: ")

    def test_a_function_without_the_decorator_and_a_body_that_cannot_be_written_are_the_tests_own_mistakes(self):
        with self.assertRaisesRegex(TypeError, "plain is no handler: decorate it with @handler"):
            invoke(plain, b"{}")
        with self.assertRaisesRegex(TypeError, "object cannot be written as JSON"):
            invoke(handle, object())

    def test_a_setting_is_one_that_was_granted(self):
        sent = self.of("setting", config={"currency": "EUR"}).sent
        self.assertEqual([it.body for it in sent], [b'[{"qty":1,"price":0.0,"colour":"red"}]', b"EUR"])
        self.assertEqual(sent[0].properties, {"id": "test-message"})
        missing = self.of("setting")
        self.assertEqual((missing.name, missing.reason), ("retry", "the setting currency is missing: --config currency=… grants it"))
        self.assertEqual((config.get("currency"), config.get("currency", "USD")), (None, "USD"))

    def test_a_state_of_a_session_is_found_and_is_kept_when_the_handler_succeeds(self):
        @handler
        def count(number: int, given: Message) -> None:
            session.set_state(session.state_json(0) + number)
            if given.properties["session-id"] != "red":
                raise Retry("not red")

        self.assertEqual(invoke(count, 7, session_id="red").session_state, b"7")
        self.assertEqual(invoke(count, 7, session_id="red", session_state=b"35").session_state, b"42")
        self.assertEqual(invoke(count, 7, session_id="blue", session_state=b"35").session_state, b"35")
        self.assertEqual(invoke(count, 7, session_id="red", session_state=b"x").reason, "the state of the session is not what was expected")
        self.assertRegex(invoke(count, 7).reason, "^the message belongs to no session")

        @handler
        def change(kind: str) -> None:
            before = session.state()
            if kind == "clear":
                session.clear_state()
            else:
                session.set_state({"bytes": (before or b"") + b"\xff", "text": "é"}[kind])

        for kind, before, after in [("clear", b"x", None), ("bytes", None, b"\xff"), ("bytes", b"a", b"a\xff"), ("text", None, "é".encode())]:
            self.assertEqual(invoke(change, f'"{kind}"', session_id="", session_state=before).session_state, after, kind)

    def test_a_message_has_defaults_that_can_be_replaced(self):
        self.assertEqual(message("x", dequeue_count=3).dequeue_count, 3)
        self.assertEqual(dataclasses.asdict(message(b"x"))["queue"], "orders")


if __name__ == "__main__":
    unittest.main()
