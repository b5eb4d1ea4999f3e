"""`/v1/admin/providers`: which models may be called, who waits for them, and an operator's hand."""

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from darkroom.domain.breakers import Gate, GateKey
from darkroom.domain.parking import CloseOrder, OpenOrder
from darkroom.settings import Settings
from gateway.answers import answered
from gateway.commands import OrderRefused, OrderUnheard
from gateway.deps import Gateway, Operating, Served
from gateway.errors import NOT_FOUND, WRONG_STATE, Problem, unheard
from gateway.offers import offers
from gateway.operating_answers import ProviderGate, ProviderGates
from gateway.operating_schemas import GateCloseBody, GateOpenBody
from gateway.operating_wire import gate_json
from gateway.request_wire import Json
from gateway.schemas import Unasked

router = APIRouter(prefix="/v1/admin", tags=["providers"], default_response_class=JSONResponse)

MOVED = answered(ProviderGate, 401, 403, 404, 409)


@router.get("/providers", responses=answered(ProviderGates, 401, 403))
async def list_providers(gateway: Served, _operator: Operating, _query: Unasked) -> Response:
    """List every model with its gate, and who is parked at it."""
    gates = await _gates(gateway)
    written = await asyncio.gather(
        *(_written(gateway, gates[key]) for key in sorted(gates, key=str))
    )
    return JSONResponse({"providers": written})


@router.post("/providers/{provider}/{model}/open", responses=MOVED)
async def open_gate(
    provider: str,
    model: str,
    gateway: Served,
    operator: Operating,
    _query: Unasked,
    body: GateOpenBody,
) -> Response:
    """Hold all calls to a model back until somebody closes its gate; jobs park meanwhile."""
    key = await _known(gateway, provider, model)
    order = OpenOrder(reason=body.reason, by=operator.owner)
    return JSONResponse(await _moved(gateway, key, order))


@router.post("/providers/{provider}/{model}/close", responses=MOVED)
async def close_gate(
    provider: str,
    model: str,
    gateway: Served,
    operator: Operating,
    _query: Unasked,
    body: GateCloseBody | None = None,
) -> Response:
    """Let one real call find out now, and all of them if it succeeds."""
    key = await _known(gateway, provider, model)
    order = CloseOrder(reason=body.reason if body else "", by=operator.owner)
    return JSONResponse(await _moved(gateway, key, order))


def models_in(settings: Settings) -> frozenset[GateKey]:
    """Name every model that the settings let us call."""
    drawing = (
        GateKey(provider=provider, model=model)
        for provider, offer in offers(settings).items()
        for model in offer.models
    )
    return frozenset({GateKey(provider="deepseek", model=settings.deepseek_model), *drawing})


async def _gates(gateway: Gateway) -> dict[GateKey, Gate]:
    """Read the gates that were ever moved, beside those that never needed to be."""
    moved = {gate.key: gate for gate in await gateway.board.gates()}
    return {key: Gate(key=key) for key in models_in(gateway.settings)} | moved


async def _known(gateway: Gateway, provider: str, model: str) -> GateKey:
    key = GateKey(provider=provider, model=model)
    gates = await _gates(gateway)
    if key not in gates:
        known = ", ".join(sorted(f"{one.provider}/{one.model}" for one in gates))
        raise Problem(
            NOT_FOUND,
            f"no model {provider[:40]}/{model[:80]} is called",
            remedy=f"name one of: {known}",
        )
    return key


async def _moved(gateway: Gateway, key: GateKey, order: OpenOrder | CloseOrder) -> Json:
    try:
        match order:
            case OpenOrder():
                gate = await gateway.gates.open(key, order)
            case CloseOrder():
                gate = await gateway.gates.close(key, order)
    except OrderRefused as refused:
        raise Problem(
            WRONG_STATE,
            str(refused),
            remedy="read the gates with GET /v1/admin/providers; nothing was changed",
        ) from refused
    except OrderUnheard as silence:
        raise unheard(
            f"the gate of {key} does not hear the order: no worker answers",
            remedy="see that a worker runs, read the gates, and repeat this if it is still needed",
        ) from silence
    return await _written(gateway, gate)


async def _written(gateway: Gateway, gate: Gate) -> Json:
    limits = gateway.settings.call_limits()[gate.key.provider]
    return gate_json(gate, await gateway.gates.view(gate.key), limits)
