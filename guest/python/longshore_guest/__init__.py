"""Write message handlers for `longshore` in Python.

>>> from dataclasses import dataclass
>>> from longshore_guest import Message, Reject, Retry, config, handler, outbox
>>>
>>> @dataclass
... class Order:
...     order_id: str
...     qty: int = 1
>>>
>>> @handler
... def handle(order: Order, message: Message) -> None:
...     if order.qty < 1:
...         raise Reject("qty: must be 1 or more")
...     outbox.send("invoices", {"order_id": order.order_id, "currency": config.require("currency")})

`python -m longshore_guest build handler.py -o handler.wasm` makes the component.

`config`, `outbox`, `http` and `azure` are modules of their own, since a component needs a grant for what it imports. So is
`session`, which has the state of the message's session on queues that have sessions.
`testing` runs a handler natively. The log is Python's own `logging`, and `print`.
"""

from ._failure import Reject, Retry
from ._handler import handler
from ._message import Message

__all__ = ["Message", "Reject", "Retry", "handler"]
