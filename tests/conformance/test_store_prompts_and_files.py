"""Every prompt cache and every file catalog keeps these promises."""

import asyncio
from dataclasses import replace

from darkroom.domain.job import FileId
from darkroom.domain.prompts import EnhancedPrompt
from tests.support.builders import (
    BOB,
    JOB,
    PENNY_MICROS,
    a_job_id,
    a_kept_prompt,
    a_product_file,
)
from tests.support.databases import Stores

pytest_plugins = ["tests.support.databases"]

SECOND_ANSWER = EnhancedPrompt(text="another text", model="deepseek-chat", cost_micros=70)


async def test_a_kept_prompt_is_read_by_its_key(stores: Stores) -> None:
    """Reads what is there, and leaves out what is not."""
    kept = a_kept_prompt()
    await stores.prompts.keep(kept)

    assert await stores.prompts.kept([kept.key, "missing"]) == {kept.key: kept.prompt}
    assert await stores.prompts.kept([]) == {}


async def test_the_first_text_under_a_key_stays(stores: Stores) -> None:
    """An answer that came second does not change what was promised."""
    first = a_kept_prompt()
    await stores.prompts.keep(first)

    await stores.prompts.keep(replace(first, prompt=SECOND_ANSWER, job_id=a_job_id(2)))

    assert await stores.prompts.kept([first.key]) == {first.key: first.prompt}


async def test_every_answer_is_booked_to_the_job_that_paid_for_it(stores: Stores) -> None:
    """Also one whose text was not needed any more, and one that was bought twice."""
    other_job = a_job_id(2)
    await stores.prompts.keep(a_kept_prompt())
    await stores.prompts.keep(a_kept_prompt(prompt=SECOND_ANSWER))
    await stores.prompts.keep(a_kept_prompt(prompt=SECOND_ANSWER, job_id=other_job))
    await stores.prompts.keep(a_kept_prompt(key="another key"))

    assert await stores.prompts.spent_micros(JOB) == 2 * PENNY_MICROS + SECOND_ANSWER.cost_micros
    assert await stores.prompts.spent_micros(other_job) == SECOND_ANSWER.cost_micros


async def test_a_job_without_answers_has_spent_nothing(stores: Stores) -> None:
    """Zero, not nothing."""
    assert await stores.prompts.spent_micros(JOB) == 0


async def test_answers_kept_at_once_are_all_booked(stores: Stores) -> None:
    """Under concurrency one text stays and no cent is lost."""
    answers = [EnhancedPrompt(text=f"text {n}", model="m", cost_micros=1 << n) for n in range(10)]
    kept = [a_kept_prompt(prompt=answer) for answer in answers]

    await asyncio.gather(*(stores.prompts.keep(prompt) for prompt in kept))

    stored = await stores.prompts.kept([kept[0].key])
    assert stored[kept[0].key] in answers
    assert await stores.prompts.spent_micros(JOB) == sum(a.cost_micros for a in answers)


async def test_added_files_are_found_by_id(stores: Stores) -> None:
    """Reads those that exist, whoever owns them, with every field."""
    hers = a_product_file()
    his = a_product_file(file_id=FileId("file_2"), owner=BOB)
    await stores.files.add(hers)
    await stores.files.add(his)

    found = await stores.files.find([his.file_id, hers.file_id, FileId("file_3")])

    assert set(found) == {hers, his}
    assert await stores.files.find([]) == ()


async def test_adding_a_file_again_changes_nothing(stores: Stores) -> None:
    """An upload whose answer was lost is repeated without harm."""
    file = a_product_file()
    await stores.files.add(file)

    await stores.files.add(replace(file, owner=BOB))

    assert await stores.files.find([file.file_id]) == (file,)


async def test_an_unusable_answer_is_booked_without_being_kept(stores: Stores) -> None:
    """It was paid for, so it counts; but the next question is asked again."""
    await stores.prompts.book("k" * 64, JOB, 7)
    await stores.prompts.book("k" * 64, JOB, 5)

    assert await stores.prompts.spent_micros(JOB) == 12
    assert await stores.prompts.kept(["k" * 64]) == {}
