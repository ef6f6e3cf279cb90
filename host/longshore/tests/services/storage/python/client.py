"""Somebody else's client: `client.py send URL base64|text BODY…`, `client.py receive URL`, `client.py look URL`."""

import json
import sys

from azure.storage.queue import QueueClient, TextBase64EncodePolicy

verb, url, *rest = sys.argv[1:]
policy = TextBase64EncodePolicy() if rest[:1] == ["base64"] else None
# The newest version of the protocol that Azurite knows.
queue = QueueClient.from_queue_url(url, message_encode_policy=policy, api_version="2025-11-05")
if verb == "send":
    for body in rest[1:]:
        queue.send_message(body)
elif verb == "look":
    # Peeking shows no more than 32. What is leased here is visible again at the end.
    messages = list(queue.receive_messages(messages_per_page=32, visibility_timeout=60))
    for message in messages:
        queue.update_message(message, visibility_timeout=0)
    print(json.dumps([message.content for message in messages]))
else:
    messages = queue.receive_messages(messages_per_page=32, visibility_timeout=60)
    print(json.dumps([message.content for message in messages]))
