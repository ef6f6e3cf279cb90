"""Exactly once, in Python. See the README."""

from booking import NoPayment, Payment
from longshore_guest import azure, reject, retry  # before the SDK
from wit_world import exports
from wit_world.exports.handler import Message
from wit_world.imports import logging, store

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient


def table() -> TableClient:
    """A client whose credential is none: the host signs what was granted."""
    setting = store.get("table")
    if setting is None:
        raise retry("the setting table is missing")
    endpoint, _, name = setting.rpartition("/")
    # The version that the SDK asks for takes no tokens.
    return TableClient(endpoint, name, credential=azure.CREDENTIAL, api_version="2020-12-06", **azure.client_options())


class Handler(exports.Handler):
    """What the host calls, once for each message."""

    def handle(self, message: Message) -> None:
        try:
            payment = Payment.parse(message.body)
            table().create_entity(
                {"PartitionKey": payment.account, "RowKey": message.id, "amount_cents": payment.amount_cents}
            )
            said = "booked"
        except NoPayment as error:
            raise reject(str(error)) from None
        except ResourceExistsError:
            said = "already booked: this is a repeated delivery"
        except azure.ERRORS as error:
            raise azure.failure("booking", error) from None
        logging.log(logging.Level.INFO, "", said)
