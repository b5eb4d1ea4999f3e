"""Enhanced prompts by what decided them, and what each job paid for its answers."""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from darkroom.domain.job import JobId
from darkroom.domain.prompts import EnhancedPrompt, KeptPrompt
from darkroom.store.engine import insert_into, reading, writing
from darkroom.store.rows import BOOKINGS, PROMPTS

KEPT = select(PROMPTS.c.key, PROMPTS.c.text, PROMPTS.c.model, PROMPTS.c.cost_micros).where(
    PROMPTS.c.key.in_(bindparam("keys", expanding=True))
)
SPENT = select(func.coalesce(func.sum(BOOKINGS.c.cost_micros), 0)).where(
    BOOKINGS.c.job_id == bindparam("job_id")
)


class SqlPromptCache:
    """The port `PromptCache` over one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take the connections to speak through."""
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
        async with reading(self._engine) as connection:
            rows = (await connection.execute(KEPT, {"keys": list(keys)})).all()
        return {
            row.key: EnhancedPrompt(text=row.text, model=row.model, cost_micros=row.cost_micros)
            for row in rows
        }

    async def keep(self, prompt: KeptPrompt) -> None:
        """Keep an answer and book its cost to the job; the first text under a key stays."""
        answer = prompt.prompt
        place = {"job_id": prompt.job_id, "key": prompt.key, "cost_micros": answer.cost_micros}
        async with writing(self._engine) as connection:
            await connection.execute(
                self._keep, {**place, "text": answer.text, "model": answer.model}
            )
            await connection.execute(self._book, {**place, "answers": 1})

    async def spent_micros(self, job_id: JobId) -> int:
        """Add up what the job's answers cost."""
        async with reading(self._engine) as connection:
            return int(await connection.scalar(SPENT, {"job_id": job_id}) or 0)
