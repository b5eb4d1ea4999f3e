"""The only place that connects to Temporal."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain.names import SEARCH_ATTRIBUTES


async def connect(*, address: str, namespace: str) -> Client:
    """Connect with the house's one data converter, which validates dataclasses on decode.

    Raises:
        RuntimeError: nobody answers at the address.
    """
    return await Client.connect(
        address, namespace=namespace, data_converter=pydantic_data_converter
    )


async def ensure_search_attributes(client: Client) -> None:
    """Make the attributes known that our workflows set; without them no job can move.

    Harmless when they are known already. A cluster that does not let us (Temporal Cloud)
    must be given them by its administrator: docs/operations.md names each.

    Raises:
        RPCError: the server could not be asked.
    """
    types = {
        "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    }
    wanted = {name: types[kind] for name, kind in SEARCH_ATTRIBUTES.items()}
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        settled = {RPCStatusCode.ALREADY_EXISTS, RPCStatusCode.PERMISSION_DENIED}
        if error.status not in settled:
            raise
