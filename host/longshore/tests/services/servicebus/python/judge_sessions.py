"""The official client's verdict on a queue that requires sessions: `judge_sessions.py CONNECTION-STRING QUEUE`.

The lock of a session lasts 2 s. Whatever is not as it should be ends this program with the promise that was broken.
"""

import sys
import time

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import OperationTimeoutError, ServiceBusError

connection, queue = sys.argv[1:]


def promise(kept, words):
    if not kept:
        sys.exit(f"broken: {words}")


def one(receiver, words="a message of the session is delivered"):
    messages = receiver.receive_messages(max_message_count=1, max_wait_time=4)
    promise(messages, words)
    return messages[0]


with ServiceBusClient.from_connection_string(connection, retry_total=0) as client:
    sender = client.get_queue_sender(queue)
    names = [f"{session}{n}" for n in range(3) for session in ("red", "blue")]
    sender.send_messages([ServiceBusMessage(name, message_id=name, session_id=name[:-1]) for name in names])
    try:
        client.get_queue_receiver(queue).receive_messages(max_wait_time=1)
        sys.exit("broken: an entity with sessions delivers by session only")
    except ServiceBusError:
        pass

    red = client.get_queue_receiver(queue, session_id="red", max_wait_time=4)
    order = "the messages of a session come in order, and no others"
    first = one(red)
    promise(first.message_id == "red0" and first.session_id == "red", order)
    try:
        client.get_queue_receiver(queue, session_id="red", max_wait_time=2).receive_messages()
        sys.exit("broken: a session that is held is given to nobody else")
    except ServiceBusError:
        pass
    red.complete_message(first)
    for name in ("red1", "red2"):
        message = one(red)
        promise(message.message_id == name, order)
        red.complete_message(message)

    blue = client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=4)
    message = one(blue)
    promise(blue.session.session_id == "blue" and message.message_id == "blue0", "the next session is one that is free")
    promise(not blue.session.get_state(), "a session has no state at first")
    blue.session.set_state(b"seen 1")
    promise(blue.session.get_state() == b"seen 1", "its state is kept")
    for size in (0, 1, 256 * 1024):
        state = bytes(n % 256 for n in range(size))
        blue.session.set_state(state)
        promise((blue.session.get_state() or b"") == state, "a state is some bytes, and stays as it is")
    try:
        blue.session.set_state(bytes(256 * 1024 + 1))
        sys.exit("broken: a state that is too large is refused")
    except ServiceBusError:
        pass
    promise(blue.session.get_state() == state, "and changes nothing")
    blue.session.set_state(None)
    promise(not blue.session.get_state(), "a state is cleared")
    blue.session.set_state(b"seen 1")
    before = blue.session.locked_until_utc
    time.sleep(0.5)
    promise(blue.session.renew_lock() > before, "the lock of a session is renewed")
    blue.abandon_message(message)
    again = one(blue)
    promise((again.message_id, again.delivery_count) == ("blue0", 1), "an abandoned message keeps its place, and counts")
    blue.close()

    blue = client.get_queue_receiver(queue, session_id="blue", max_wait_time=4)
    again = one(blue)
    promise((again.message_id, again.delivery_count) == ("blue0", 1), "closing a session counts no delivery")
    promise(blue.session.get_state() == b"seen 1", "and its state outlives who held it")
    time.sleep(2.5)
    try:
        blue.complete_message(again)
        sys.exit("broken: the lock of a session that has ended settles nothing")
    except ServiceBusError:
        pass
    blue = client.get_queue_receiver(queue, session_id="blue", max_wait_time=4)
    for name, count in (("blue0", 2), ("blue1", 0), ("blue2", 0)):
        message = one(blue)
        promise((message.message_id, message.delivery_count or 0) == (name, count), "a lock that ran out counts, and order holds")
        blue.complete_message(message)
    blue.close()
    red.close()
    try:
        client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=2).receive_messages()
        sys.exit("broken: when no session has messages, that is said in time")
    except OperationTimeoutError:
        pass
print("ok")
