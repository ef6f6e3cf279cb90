"""A worker on Microsoft's client for asyncio, with many messages at a time: storage_async.py QUEUE-URL CONCURRENCY

It ends when a receive is empty.
"""

import asyncio
import json
import logging
import os
import sys

from azure.identity.aio import ManagedIdentityCredential
from azure.storage.queue.aio import QueueClient
from pydantic import BaseModel, Field


class OrderEvent(BaseModel):
    order_id: str = Field(min_length=1)
    msg: str


logging.basicConfig(level=logging.INFO, format="%(message)s")
# The SDK logs each request at this level, longshore's does not.
logging.getLogger("azure").setLevel(logging.WARNING)


async def work(queue: QueueClient, waiting: asyncio.Queue) -> None:
    while message := await waiting.get():
        order = OrderEvent.model_validate_json(message.content)
        logging.info("handled order %s", order.order_id)
        await queue.delete_message(message)
        logging.info(json.dumps({"message_id": message.id, "outcome": "completed"}, separators=(",", ":")))


async def main(url: str, concurrency: int) -> None:
    credential = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
    # The newest version of the protocol that Azurite knows.
    client = QueueClient.from_queue_url(url, credential=credential, api_version="2025-11-05")
    # The next batch is received while the one before is worked on.
    waiting: asyncio.Queue = asyncio.Queue(maxsize=concurrency)
    async with credential, client, asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work(client, waiting))
        batch = min(32, concurrency)
        while True:
            found = 0
            # A page is one receive; the client's own paging would ask again until nothing is left.
            async for message in client.receive_messages(max_messages=batch, messages_per_page=batch, visibility_timeout=60):
                found += 1
                await waiting.put(message)
            if found == 0:
                break
        for _ in range(concurrency):
            await waiting.put(None)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
