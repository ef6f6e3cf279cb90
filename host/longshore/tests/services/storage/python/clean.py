"""Deletes the queues whose URLs begin so: `clean.py https://ACCOUNT.queue.core.windows.net/orders-20261122`"""

import sys

from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueServiceClient

account, start = sys.argv[1].rsplit("/", 1)
# The newest version of the protocol that Azurite knows.
service = QueueServiceClient(account, credential=DefaultAzureCredential(), api_version="2025-11-05")
for queue in service.list_queues(name_starts_with=start):
    service.delete_queue(queue.name)
    print(queue.name)
