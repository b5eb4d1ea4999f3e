"""What the workflow of a gate does outside itself, and how a job comes to it."""

from temporalio import activity

from darkroom.domain.breakers import Gate, GateKey, HandMove
from darkroom.domain.errors import IllegalTransition
from darkroom.domain.parking import GateMoved, ParkOrder
from darkroom.domain.ports import GateBoard, GateSignals


class GateActivities:
    """Idempotent: reading changes nothing, the same move or order twice is one."""

    def __init__(self, *, board: GateBoard, signals: GateSignals) -> None:
        self._board = board
        self._signals = signals

    @activity.defn
    async def read_gate(self, key: GateKey) -> Gate:
        """Read the row that lets calls through or holds them back."""
        return await self._board.gate(key)

    @activity.defn
    async def move_gate(self, moved: HandMove) -> GateMoved:
        """Open or close a gate by hand; the row and the audit log say who and why."""
        try:
            return GateMoved(gate=await self._board.move(moved))
        except IllegalTransition as error:
            return GateMoved(gate=await self._board.gate(moved.key), refused=str(error))

    @activity.defn
    async def park(self, order: ParkOrder) -> None:
        """Have the gate's workflow wake a job, making the workflow if it is not there."""
        await self._signals.park(order)
