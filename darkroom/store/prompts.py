"""Enhanced prompts by what decided them, and what each job paid for its answers."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, bindparam, func, select

from darkroom.domain.job import JobId
from darkroom.domain.prompts import EnhancedPrompt, KeptPrompt
from darkroom.store.engine import insert_into
from darkroom.store.rows import BOOKINGS, PROMPTS
from darkroom.store.threads import ThreadedEngine

KEPT = select(PROMPTS.c.key, PROMPTS.c.text, PROMPTS.c.model, PROMPTS.c.cost_micros).where(
    PROMPTS.c.key.in_(bindparam("keys", expanding=True))
)
SPENT = select(func.coalesce(func.sum(BOOKINGS.c.cost_micros), 0)).where(
    BOOKINGS.c.job_id == bindparam("job_id")
)


class SqlPromptCache:
    """The port `PromptCache` over one database."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine
        self._keep = insert_into(engine, PROMPTS).on_conflict_do_nothing(index_elements=["key"])
        book = insert_into(engine, BOOKINGS)
        self._book = book.on_conflict_do_update(
            index_elements=["job_id", "key"],
            set_={
                "answers": BOOKINGS.c.answers + 1,
                "cost_micros": BOOKINGS.c.cost_micros + book.excluded.cost_micros,
            },
        )

    async def kept(self, keys: Sequence[str]) -> dict[str, EnhancedPrompt]:
        """Read what is there."""
        asked = {"keys": list(keys)}
        rows = await self._engine.read(lambda c: c.execute(KEPT, asked).all())
        return {
            row.key: EnhancedPrompt(text=row.text, model=row.model, cost_micros=row.cost_micros)
            for row in rows
        }

    async def keep(self, prompt: KeptPrompt) -> None:
        """Keep an answer and book its cost to the job; the first text under a key stays."""
        await self._engine.write(partial(self._keep_and_book, kept=prompt))

    async def book(self, key: str, job_id: JobId, cost_micros: int) -> None:
        """Book an answer that was paid for and cannot be used."""
        booked = {"job_id": job_id, "key": key, "cost_micros": cost_micros, "answers": 1}
        await self._engine.write(lambda connection: connection.execute(self._book, booked))

    async def spent_micros(self, job_id: JobId) -> int:
        """Add up what the job's answers cost."""
        return int(await self._engine.read(lambda c: c.scalar(SPENT, {"job_id": job_id})) or 0)

    def _keep_and_book(self, connection: Connection, kept: KeptPrompt) -> None:
        answer = kept.prompt
        booked = {"job_id": kept.job_id, "key": kept.key, "cost_micros": answer.cost_micros}
        connection.execute(self._keep, {**booked, "text": answer.text, "model": answer.model})
        connection.execute(self._book, {**booked, "answers": 1})
