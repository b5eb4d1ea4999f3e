"""The only place that connects to Temporal."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain.names import SEARCH_ATTRIBUTES

# One for the process: it keeps the validators it has built, and the SDK makes a payload
# converter for each workflow, which would build them all again.
_JSON = PydanticJSONPlainPayloadConverter()


class HousePayloadConverter(CompositePayloadConverter):
    """The SDK's converters, with pydantic's JSON, which validates dataclasses on decode."""

    def __init__(self) -> None:
        """Take the SDK's own converters in their order."""
        converters = DefaultPayloadConverter.default_encoding_payload_converters
        plain = (_JSON if isinstance(c, JSONPlainPayloadConverter) else c for c in converters)
        super().__init__(*plain)


HOUSE_DATA_CONVERTER = DataConverter(payload_converter_class=HousePayloadConverter)


async def connect(*, address: str, namespace: str) -> Client:
    """Connect with the house's one data converter.

    Raises:
        RuntimeError: nobody answers at the address.
    """
    return await Client.connect(address, namespace=namespace, data_converter=HOUSE_DATA_CONVERTER)


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
