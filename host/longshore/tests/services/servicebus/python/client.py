"""Somebody else's client: `client.py send CONNECTION QUEUE BODY…`, `client.py dead CONNECTION QUEUE`."""

import json
import sys

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue

verb, connection, queue, *bodies = sys.argv[1:]
with ServiceBusClient.from_connection_string(connection) as client:
    if verb == "send":
        properties = {"tenant": "blue", "number": 7}
        messages = [ServiceBusMessage(body, content_type="application/json", application_properties=properties) for body in bodies]
        client.get_queue_sender(queue).send_messages(messages)
    else:
        receiver = client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
        for message in receiver.receive_messages(max_message_count=10, max_wait_time=3):
            print(json.dumps([str(message), message.dead_letter_reason, message.dead_letter_error_description]))
            receiver.complete_message(message)
