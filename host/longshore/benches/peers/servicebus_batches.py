"""Batches of 32, one after the other, as many as there are: servicebus_batches.py CONNECTION QUEUE MESSAGES"""

import json
import sys

from azure.servicebus import ServiceBusClient
from pydantic import BaseModel, Field


class OrderEvent(BaseModel):
    order_id: str = Field(min_length=1)
    msg: str


connection, queue, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
with ServiceBusClient.from_connection_string(connection) as client, client.get_queue_receiver(queue) as receiver:
    while left > 0:
        messages = receiver.receive_messages(max_message_count=min(32, left), max_wait_time=5)
        if not messages:
            break
        for message in messages:
            OrderEvent.model_validate(json.loads(str(message)))
            receiver.complete_message(message)
        left -= len(messages)
