"""Somebody else's client: `session_state.py get CONNECTION ENTITY SESSION`, and `set … FILE`.

Prints the state as hexadecimal digits behind `=`, or `none`. The entity is a queue, or a topic's `TOPIC/Subscriptions/NAME`.
"""

import sys
from pathlib import Path

from azure.servicebus import ServiceBusClient

verb, connection, entity, session, *state = sys.argv[1:]
with ServiceBusClient.from_connection_string(connection, retry_total=3) as client:
    topic, _, subscription = entity.partition("/Subscriptions/")
    if subscription:
        receiver = client.get_subscription_receiver(topic, subscription, session_id=session)
    else:
        receiver = client.get_queue_receiver(entity, session_id=session)
    with receiver:
        if verb == "set":
            receiver.session.set_state(Path(state[0]).read_bytes())
        kept = receiver.session.get_state()
print("none" if kept is None else "=" + kept.hex())
