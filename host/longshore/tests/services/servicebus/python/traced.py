"""Somebody else's client, whose calls are spans: `traced.py CONNECTION QUEUE BODY` sends a message within one, and prints its
trace; `traced.py CONNECTION QUEUE` receives one, and prints the trace that it carries."""

import json
import sys

from azure.core.settings import settings
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import TracerProvider

settings.tracing_implementation = "opentelemetry"
trace.set_tracer_provider(TracerProvider())
connection, queue, *bodies = sys.argv[1:]


def hexadecimal(context) -> str:
    return trace.format_trace_id(context.trace_id)


with ServiceBusClient.from_connection_string(connection) as client:
    if bodies:
        with trace.get_tracer("shop").start_as_current_span("order") as span:
            client.get_queue_sender(queue).send_messages(ServiceBusMessage(bodies[0]))
            print(json.dumps(hexadecimal(span.get_span_context())))
    else:
        receiver = client.get_queue_receiver(queue)
        for message in receiver.receive_messages(max_message_count=1, max_wait_time=5):
            text = {str(name, "utf-8"): str(value, "utf-8") for name, value in message.application_properties.items()}
            read = trace.get_current_span(extract(text)).get_span_context()
            print(json.dumps({"trace": hexadecimal(read), "span": trace.format_span_id(read.span_id), "properties": text}))
            receiver.complete_message(message)
