"""The usual worker, one message at a time, as long as there is one: servicebus.py QUEUE-URL MESSAGES"""

import json
import logging
import os
import sys
from urllib.parse import urlsplit

from azure.identity import ManagedIdentityCredential
from azure.servicebus import ServiceBusClient, TransportType
from pydantic import BaseModel, Field


class OrderEvent(BaseModel):
    order_id: str = Field(min_length=1)
    msg: str


logging.basicConfig(level=logging.INFO, format="%(message)s")
# The SDK logs each request at this level, longshore's does not.
logging.getLogger("azure").setLevel(logging.WARNING)
url = urlsplit(sys.argv[1])
credential = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
# The broker is not on the port of AMQP, and its certificate is the bench's own.
place = {"custom_endpoint_address": f"sb://{url.netloc}", "connection_verify": os.environ["SSL_CERT_FILE"]}
client = ServiceBusClient(url.hostname, credential, transport_type=TransportType.Amqp, **place)
with client, client.get_queue_receiver(url.path[1:]) as queue:
    for _ in range(int(sys.argv[2])):
        messages = queue.receive_messages(max_message_count=1, max_wait_time=5)
        if not messages:
            break
        order = OrderEvent.model_validate(json.loads(str(messages[0])))
        logging.info("handled order %s", order.order_id)
        queue.complete_message(messages[0])
        logging.info(json.dumps({"message_id": messages[0].message_id, "outcome": "completed"}, separators=(",", ":")))
