"""What the gateway asks of Temporal. The only place that knows the workflows.

    jobs     start a job, describe it
    orders   what an open job is told: pause, resume, cancel, priority, decisions
    pool     the queue, as its pool sees it and operators change it
    gates    the providers' gates, opened and closed by hand
    reconciling  a reconciliation on demand
    hearing  how an order ends: carried out, refused, or unheard

An RPC that fails for another reason than the ones named here leaves as `RPCError`, which the
door answers with 503.
"""

from gateway.commands.gates import GateCommands
from gateway.commands.hearing import NotOpen, OrderRefused, OrderUnheard
from gateway.commands.jobs import ANSWER_WITHIN, AlreadyStarted, JobCommands, Submitted
from gateway.commands.orders import JobOrders
from gateway.commands.pool import QueueCommands
from gateway.commands.reconciling import ReconcileCommands, Reconciling

__all__ = [
    "ANSWER_WITHIN",
    "AlreadyStarted",
    "GateCommands",
    "JobCommands",
    "JobOrders",
    "NotOpen",
    "OrderRefused",
    "OrderUnheard",
    "QueueCommands",
    "ReconcileCommands",
    "Reconciling",
    "Submitted",
]
