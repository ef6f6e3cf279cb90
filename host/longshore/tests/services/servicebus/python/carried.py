"""What the official client finds in a queue: `carried.py CONNECTION-STRING QUEUE [send]`.

Prints one JSON object for each message, with the type of everything beside its value. With `send`, puts messages there
that have every field and type that the client can write.
"""

import json
import sys
import uuid
from datetime import datetime, timedelta, timezone

from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageHeader, AmqpMessageProperties

connection, queue = sys.argv[1:3]
ORDER = b'{"order_id":"o-1","msg":"reject"}'
TYPED = {
    "int": 7, "double": 1.5, "bool": True, "text": "7",
    "uuid": uuid.UUID(int=5), "time": datetime(2020, 1, 1, tzinfo=timezone.utc),
    "subject": "mine", "content-type": "mine", "correlation-id": "mine",
}


def told(value):
    if isinstance(value, dict):
        return [type(value).__name__, sorted([told(k), told(v)] for k, v in value.items())]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [told(it) for it in value]]
    return [type(value).__name__, repr(value)]


def messages():
    yield ServiceBusMessage(
        ORDER, message_id="typed", application_properties=TYPED, content_type="application/json", subject="s",
        correlation_id="c", to="t", reply_to="r", reply_to_session_id="rs", session_id="g", partition_key="g",
        time_to_live=timedelta(hours=5),
    )
    yield ServiceBusMessage(ORDER, message_id="again")
    yield ServiceBusMessage(ORDER, message_id="again")
    for name, body in [("map", {"value_body": {"a": 1, "b": [1, 2]}}), ("number", {"value_body": 7}),
                       ("sequence", {"sequence_body": [["a", 1], ["b"]]}), ("parts", {"data_body": [ORDER[:9], ORDER[9:]]})]:
        yield AmqpAnnotatedMessage(
            **body, properties=AmqpMessageProperties(message_id=name), header=AmqpMessageHeader(priority=7),
            application_properties={"n": 1}, footer={"f": "g"},
        )


with ServiceBusClient.from_connection_string(connection, retry_total=0) as client:
    if sys.argv[3:] == ["send"]:
        with client.get_queue_sender(queue) as sender:
            for message in messages():
                sender.send_messages(message)
    found = client.get_queue_receiver(queue).peek_messages(max_message_count=100)
    for message in found:
        raw = message.raw_amqp_message
        body = list(message.body) if raw.body_type.value != "value" else message.body
        fields = {name: told(getattr(raw.properties, name)) for name in (
            "message_id", "user_id", "to", "subject", "reply_to", "correlation_id", "content_type", "content_encoding",
            "group_id", "group_sequence", "reply_to_group_id")}
        kept = {
            "text": str(message) if raw.body_type.value == "data" else None, "fields": fields, "application": told(dict(message.application_properties or {})), "body": told(body),
            "kind": raw.body_type.value, "footer": told(raw.footer), "partition_key": told(message.partition_key),
            "ttl": told(message.time_to_live), "priority": told(raw.header.priority), "durable": told(raw.header.durable),
        }
        print(json.dumps(kept))
