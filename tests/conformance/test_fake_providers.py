"""The fakes of the paid APIs do what they are told, then what a healthy provider does."""

import pytest

from darkroom.domain.errors import ContentRefused, FilesUnavailable, ReplyLost
from darkroom.domain.job import ImageSpec, JobId, PromptMode
from darkroom.domain.ledger import CallKey
from darkroom.domain.ports import (
    ImageProvider,
    PictureMade,
    PictureOrder,
    PromptEnhancer,
    Ready,
    TaskAccepted,
)
from darkroom.domain.prompts import PromptAsk
from tests.support.fake_providers import (
    PICTURE,
    FakeFileStore,
    FakeImageProvider,
    FakePromptEnhancer,
    FakeSynchronousProvider,
)

ASK = PromptAsk(key="k", call="job_1/0001/p", text="a lamp", mode=PromptMode.PRECISE, user_hash="u")
ORDER = PictureOrder(
    call=CallKey(job=JobId("job_1"), item="0001", take=1),
    prompt="a lamp",
    image=ImageSpec(model="fake"),
    product=(),
)


async def test_an_enhancer_follows_its_script_and_remembers() -> None:
    """Errors are raised, texts answered, and each ask is kept."""
    fake = FakePromptEnhancer([ContentRefused("no", provider="fake"), "told"], cost_micros=3)
    enhancer: PromptEnhancer = fake

    with pytest.raises(ContentRefused):
        await enhancer.enhance(ASK)
    told = await enhancer.enhance(ASK)
    quiet = await enhancer.enhance(ASK)

    assert (told.text, told.cost_micros, told.model) == ("told", 3, enhancer.model)
    assert quiet.text == "a lamp, enhanced"
    assert fake.asks == [ASK] * 3


async def test_an_image_provider_follows_its_script_and_remembers() -> None:
    """Each of the three calls has a script of its own."""
    fake = FakeImageProvider(
        submits=[ReplyLost("gone", provider="fake")], collects=[None], downloads=[b"told"]
    )
    provider: ImageProvider = fake

    with pytest.raises(ReplyLost):
        await provider.submit(ORDER)
    bought = await provider.submit(await provider.prepare(ORDER))
    assert isinstance(bought, TaskAccepted)
    task_id = bought.task_id
    assert await provider.collect(task_id) is None
    url = f"https://pictures.test/{task_id}.png"
    assert await provider.collect(task_id) == Ready(url=url)
    assert await provider.download(url) == b"told"
    assert (await provider.download(url)).startswith(b"\x89PNG")
    assert fake.orders == [ORDER] * 2
    assert fake.collected == [task_id] * 2
    assert fake.downloaded == [url] * 2
    assert provider.price_micros(ORDER.image) > 0
    assert provider.calls_back


async def test_a_synchronous_provider_answers_with_the_picture() -> None:
    """Told pictures and errors come first; nobody is called back."""
    refused = ContentRefused("no", provider="fake")
    provider: ImageProvider = FakeSynchronousProvider(
        submits=[PictureMade(content=b"told"), refused]
    )

    told = await provider.submit(ORDER)
    with pytest.raises(ContentRefused):
        await provider.submit(ORDER)
    quiet = await provider.submit(ORDER)

    assert (told, quiet) == (PictureMade(content=b"told"), PictureMade(content=PICTURE))
    assert not provider.calls_back


async def test_a_file_store_fails_as_often_as_it_is_told() -> None:
    """Then it answers again."""
    files = FakeFileStore()
    files.fail(2)

    for _ in range(2):
        with pytest.raises(FilesUnavailable):
            await files.put(b"content")

    assert await files.get(await files.put(b"content")) == b"content"
