"""The usual worker, one message at a time, as long as there is one: storage.py QUEUE-URL MESSAGES"""

import json
import logging
import os
import sys

from azure.identity import ManagedIdentityCredential
from azure.storage.queue import QueueClient
from pydantic import BaseModel, Field


class OrderEvent(BaseModel):
    order_id: str = Field(min_length=1)
    msg: str


logging.basicConfig(level=logging.INFO, format="%(message)s")
# The SDK logs each request at this level, longshore's does not.
logging.getLogger("azure").setLevel(logging.WARNING)
credential = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
# The newest version of the protocol that Azurite knows.
queue = QueueClient.from_queue_url(sys.argv[1], credential=credential, api_version="2025-11-05")
for _ in range(int(sys.argv[2])):
    message = queue.receive_message(visibility_timeout=60)
    if message is None:
        break
    order = OrderEvent.model_validate(json.loads(message.content))
    logging.info("handled order %s", order.order_id)
    queue.delete_message(message)
    logging.info(json.dumps({"message_id": message.id, "outcome": "completed"}, separators=(",", ":")))
