"""Exactly once, in Python. See the README."""

import logging

from booking import Payment
from longshore_guest import Message, azure, config, handler  # before the SDK

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient


def table() -> TableClient:
    """A client whose credential is none: the host signs what was granted."""
    endpoint, _, name = config.require("table").rpartition("/")
    # The version that the SDK asks for takes no tokens.
    return TableClient(endpoint, name, credential=azure.CREDENTIAL, api_version="2020-12-06", **azure.client_options())


@handler
def handle(payment: Payment, message: Message) -> None:
    row = {"PartitionKey": payment.account, "RowKey": message.id, "amount_cents": payment.amount_cents}
    try:
        table().create_entity(row)
        logging.info("booked")
    except ResourceExistsError:
        logging.info("already booked: this is a repeated delivery")
    except azure.ERRORS as error:
        raise azure.failure("booking", error) from error
