"""The claim check in Python. See the README."""

import json
import logging
from dataclasses import dataclass

import invoice
from longshore_guest import Reject, azure, config, handler, outbox  # before the SDK

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient, ContentSettings


@dataclass
class Claim:
    """What a message says: where the real one lies, in the container of the setting `container`."""

    blob: str


def blob(name: str) -> BlobClient:
    """A client without a credential: the host signs what was granted."""
    return BlobClient.from_blob_url(f"{config.require('container')}/{name}", **azure.client_options())


@handler
def handle(claim: Claim) -> None:
    result = invoice.name(claim.blob)
    try:
        order = blob(claim.blob).download_blob().readall()
        written = json.dumps(invoice.of(order)).encode()
        blob(result).upload_blob(written, overwrite=True, content_settings=ContentSettings("application/json"))
    except ResourceNotFoundError:
        raise Reject("there is no blob of that name") from None
    except azure.ERRORS as error:
        raise azure.failure("the blob", error) from error
    logging.info("wrote %s", result)
    outbox.send("invoices", Claim(result))
