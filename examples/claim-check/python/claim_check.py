"""The claim check in Python. See the README."""

import json

import invoice
from longshore_guest import azure, reject, retry  # before the SDK
from wit_world import exports
from wit_world.exports.handler import Message
from wit_world.imports import logging, outbox, store

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient, ContentSettings


def blob(name: str) -> BlobClient:
    """A client without a credential: the host signs what was granted."""
    container = store.get("container")
    if container is None:
        raise retry("the setting container is missing")
    return BlobClient.from_blob_url(f"{container}/{name}", **azure.client_options())


class Handler(exports.Handler):
    """What the host calls, once for each message."""

    def handle(self, message: Message) -> None:
        try:
            claim = json.loads(message.body)
            result = invoice.name(claim["blob"])
            order = blob(claim["blob"]).download_blob().readall()
            written = json.dumps(invoice.of(order)).encode()
            blob(result).upload_blob(written, overwrite=True, content_settings=ContentSettings("application/json"))
        except invoice.NoOrder as error:
            raise reject(str(error)) from None
        except (ValueError, TypeError, KeyError):
            raise reject('the message is no claim: {"blob": "incoming/…"}') from None
        except ResourceNotFoundError:
            raise reject("there is no blob of that name") from None
        except azure.ERRORS as error:
            raise azure.failure("the blob", error) from None
        logging.log(logging.Level.INFO, "", f"wrote {result}")
        outbox.send("invoices", json.dumps({"blob": result}).encode(), [])
