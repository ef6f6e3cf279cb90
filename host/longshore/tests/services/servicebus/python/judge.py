"""The official client's verdict on a queue: `judge.py CONNECTION-STRING QUEUE`.

The queue's lock lasts 2 s and its messages may be delivered 3 times. Whatever is not as it should be ends this program with
the promise that was broken.
"""

import sys
import time

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusError

connection, queue = sys.argv[1:]


def promise(kept, words):
    if not kept:
        sys.exit(f"broken: {words}")


def one(receiver, wait=4):
    messages = receiver.receive_messages(max_message_count=1, max_wait_time=wait)
    promise(messages, "a message that was sent is delivered")
    return messages[0]


with ServiceBusClient.from_connection_string(connection, retry_total=0) as client:
    sender = client.get_queue_sender(queue)
    receiver = client.get_queue_receiver(queue)
    dead = client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)

    sender.send_messages([ServiceBusMessage("one", message_id="a"), ServiceBusMessage("two", message_id="b")])
    peeked = receiver.peek_messages(max_message_count=5)
    promise([it.message_id for it in peeked] == ["a", "b"], "a batch is as many messages, and peeking shows them")

    message = one(receiver)
    promise((message.message_id, str(message)) == ("a", "one"), "messages come in order, as they were sent")
    promise(not message.delivery_count, "the first delivery counts none before it")
    try:
        until = receiver.renew_message_lock(message)
    except ServiceBusError as error:
        sys.exit(f"broken: a lock can be renewed by its token ({error})")
    promise(0 < until.timestamp() - time.time() <= 3, "a renewed lock lasts as long as locks do")
    receiver.complete_message(message)

    message = one(receiver)
    receiver.abandon_message(message)
    message = one(receiver)
    promise((message.message_id, message.delivery_count) == ("b", 1), "an abandoned message comes again, and counts")

    time.sleep(2.5)
    again = one(receiver)
    promise((again.message_id, again.delivery_count) == ("b", 2), "a lock that ends frees its message, and counts")
    try:
        receiver.complete_message(message)
        sys.exit("broken: a lock that has ended settles nothing")
    except MessageLockLostError:
        pass
    receiver.abandon_message(again)
    buried = one(dead)
    reason = (buried.message_id, buried.dead_letter_reason)
    promise(reason == ("b", "MaxDeliveryCountExceeded"), "too many deliveries end in the dead-letter queue")
    dead.complete_message(buried)

    sender.send_messages(ServiceBusMessage("three", message_id="c", application_properties={"k": "v", "n": 7}))
    receiver.dead_letter_message(one(receiver), reason="Poison", error_description="as asked")
    buried = one(dead)
    told = (buried.message_id, buried.dead_letter_reason, buried.dead_letter_error_description)
    promise(told == ("c", "Poison", "as asked"), "a dead-lettered message says why")
    promise(buried.application_properties[b"k"] == b"v", "and keeps its properties")
    dead.complete_message(buried)

    due = time.time() + 1
    from datetime import datetime, timezone
    sender.schedule_messages(ServiceBusMessage("four", message_id="d"), datetime.fromtimestamp(due, timezone.utc))
    message = one(receiver)
    promise(time.time() >= due - 0.1, "a scheduled message is not delivered before its time")
    receiver.complete_message(message)
    eager = client.get_queue_receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    sender.send_messages(ServiceBusMessage("five", message_id="e"))
    promise(one(eager).message_id == "e", "receive and delete delivers")
    promise(not receiver.peek_messages(), "what was settled is gone")
print("ok")
