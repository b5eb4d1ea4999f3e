"""Pictures that were delivered, and whose bytes are gone."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from activities.keeping import PictureKeeper
from activities.rounds import PAGE, Tally
from darkroom.domain.drift import KeptFile
from darkroom.domain.errors import FileMissing, PictureUnusable, ProviderError
from darkroom.domain.job import JobId
from darkroom.domain.ledger import CallKey, LedgerRow
from darkroom.domain.ports import CallLedger, FileStore, ImageProvider, Inventory

MOST_FILES = 5_000  # in one portion


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFiles:
    """Mended from what is left: a thumbnail from its picture, a picture from its provider.

    What cannot be had again is marked in the audit log; the door answers `file_missing` for it.
    """

    inventory: Inventory
    files: FileStore
    ledger: CallLedger
    keeper: PictureKeeper
    providers: Mapping[str, ImageProvider]
    most: int = MOST_FILES

    async def go(self, tally: Tally) -> None:
        """Look for the files of one portion of all pictures."""
        place = _place(tally.order.resume_at)
        while page := await self.inventory.kept_files(after=place, limit=PAGE):
            found = await asyncio.gather(*(self._missing(kept) for kept in page))
            for kept, missing in zip(page, found, strict=True):
                tally.look()
                if missing:
                    mend = partial(self._mend, kept, tally, missing)
                    await tally.note(f"{kept.job_id}/{kept.item}", missing, mend)
            place = page[-1].job_id, page[-1].item
            if tally.looked_at >= self.most:
                tally.resume_at = "/".join(place)
                return

    async def _missing(self, kept: KeptFile) -> str:
        """Say what is missing of a picture, if anything."""
        if not await self.files.has(kept.sha256):
            return f"the file of the picture is gone: {kept.sha256}"
        if not await self.files.has(kept.thumbnail_sha256):
            return f"the file of the thumbnail is gone: {kept.thumbnail_sha256}"
        return ""

    async def _mend(self, kept: KeptFile, tally: Tally, missing: str) -> str:
        for attempt in (self._from_picture, self._from_provider):
            if done := await attempt(kept):
                return done
        await tally.mark(f"{kept.job_id}/{kept.item}", missing)
        return ""

    async def _from_picture(self, kept: KeptFile) -> str:
        try:
            content = await self.files.get(kept.sha256)
            await self.keeper.keep(content)
        except (FileMissing, PictureUnusable):
            return ""
        return await self._done(kept, "its thumbnail was made again")

    async def _from_provider(self, kept: KeptFile) -> str:
        key = CallKey(job=kept.job_id, item=kept.item, take=kept.take)
        for row in await self.ledger.rows([key]):
            content = await self._downloaded(row)
            if content is not None:
                try:
                    await self.keeper.keep(content)
                except PictureUnusable:
                    return ""
                return await self._done(kept, f"fetched again from {row.provider}")
        return ""

    async def _downloaded(self, row: LedgerRow) -> bytes | None:
        provider = self.providers.get(row.provider)
        if provider is None or row.result_url is None:
            return None
        try:
            return await provider.download(row.result_url)
        except ProviderError:
            return None

    async def _done(self, kept: KeptFile, done: str) -> str:
        """Trust only what can be found under its own hash."""
        return "" if await self._missing(kept) else done


def _place(resume_at: str) -> tuple[JobId, str] | None:
    job_id, _, item = resume_at.partition("/")
    return (JobId(job_id), item) if item else None
