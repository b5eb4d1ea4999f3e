"""Which product photos exist, and whose they are."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from darkroom.domain.job import FileId, OwnerId
from darkroom.domain.ports import ProductFile
from darkroom.store.engine import insert_into
from darkroom.store.rows import FILES
from darkroom.store.threads import ThreadedEngine

FOUND = select(FILES).where(FILES.c.id.in_(bindparam("ids", expanding=True)))


class SqlFileCatalog:
    """The port `FileCatalog` over one database."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine
        self._add = insert_into(engine, FILES).on_conflict_do_nothing(index_elements=["id"])

    async def add(self, file: ProductFile) -> None:
        """Remember an upload; the same one again changes nothing."""
        values = {
            "id": file.file_id,
            "owner": file.owner,
            "sha256": file.sha256,
            "media_type": file.media_type,
            "width": file.width,
            "height": file.height,
            "size_bytes": file.size_bytes,
            "created_at": file.created_at,
        }
        await self._engine.write(lambda c: c.execute(self._add, values))

    async def find(self, file_ids: Sequence[FileId]) -> tuple[ProductFile, ...]:
        """Read those that exist, in any order."""
        asked = {"ids": list(file_ids)}
        rows = await self._engine.read(lambda c: c.execute(FOUND, asked).all())
        return tuple(
            ProductFile(
                file_id=FileId(row.id),
                owner=OwnerId(row.owner),
                sha256=row.sha256,
                media_type=row.media_type,
                width=row.width,
                height=row.height,
                size_bytes=row.size_bytes,
                created_at=row.created_at,
            )
            for row in rows
        )
