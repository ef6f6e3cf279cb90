"""The official client's verdict on a topic: `judge_topic.py CONNECTION-STRING TOPIC SUBSCRIPTION SUBSCRIPTION`.

Both subscriptions let everything in. Whatever is not as it should be ends this program with the promise that was broken.
"""

import sys

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import ServiceBusError

connection, topic, *subscriptions = sys.argv[1:]


def promise(kept, words):
    if not kept:
        sys.exit(f"broken: {words}")


def one(receiver, words):
    messages = receiver.receive_messages(max_message_count=1, max_wait_time=4)
    promise(messages, words)
    return messages[0]


with ServiceBusClient.from_connection_string(connection, retry_total=0) as client:
    sender = client.get_topic_sender(topic)
    sender.send_messages([ServiceBusMessage("one", message_id="a"), ServiceBusMessage("two", message_id="b")])
    for name in subscriptions:
        receiver = client.get_subscription_receiver(topic, name)
        copies = "each subscription gets a copy of each message, in order"
        first = one(receiver, copies)
        promise(first.message_id == "a", copies)
        receiver.dead_letter_message(first, reason="Poison")
        second = one(receiver, copies)
        promise(second.message_id == "b", copies)
        receiver.complete_message(second)
        dead = client.get_subscription_receiver(topic, name, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
        buried = one(dead, "each subscription has a dead-letter queue of its own")
        promise(buried.dead_letter_reason == "Poison", "a dead-lettered message says why")
        dead.complete_message(buried)
        promise(not receiver.peek_messages(), "what was settled is gone")
    try:
        client.get_queue_receiver(topic).receive_messages(max_message_count=1, max_wait_time=1)
        sys.exit("broken: a topic itself is not received from")
    except ServiceBusError:
        pass
print("ok")
