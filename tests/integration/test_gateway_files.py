"""Product photos: what is kept of an upload, and who may fetch it."""

import io
import struct
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from PIL import Image

from darkroom.domain.items import ItemState, StoredPicture
from darkroom.domain.job import FileId
from darkroom.domain.tokens import file_token
from darkroom.files.opening import open_files
from darkroom.pictures import PillowPictureCheck
from tests.support.builders import a_job_id, an_item
from tests.support.gateways import (
    BOB_KEY,
    SECRET,
    House,
    RunningGateway,
    a_body,
    written_job,
)

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

JOB = a_job_id(1)


@pytest.fixture
async def gateway(house: House) -> RunningGateway:
    """A gateway that really looks at pictures."""
    return await house.gateway(pictures=PillowPictureCheck())


def a_photo(kind: str, *, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """Take a photo."""
    written = io.BytesIO()
    Image.new("RGB", size, (200, 120, 40)).save(written, kind, **options)
    return written.getvalue()


def a_bomb() -> bytes:
    """Say in a few hundred bytes that one has 50,000 x 50,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", pixels),
            chunk(b"IEND", b""),
        )
    )


async def upload(
    http: httpx.AsyncClient, content: bytes, *, name: str = "photo", field: str = "file"
) -> httpx.Response:
    """Send one file as a form does."""
    return await http.post("/v1/files", files={field: (name, content)})


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("AVIF", "image/avif")],
)
async def test_photo_is_kept_and_can_be_read_again(
    gateway: RunningGateway, kind: str, media_type: str
) -> None:
    """Each of the four formats, whatever the upload is called."""
    async with gateway.calling() as http:
        kept = await upload(http, a_photo(kind), name="invoice.exe")
        known = await http.get(kept.headers["location"])
        content = await http.get(kept.json()["url"])

    file = kept.json()
    assert kept.status_code == 201
    assert kept.headers["location"] == f"/v1/files/{file['id']}"
    assert (file["mediaType"], file["width"], file["height"]) == (media_type, 64, 48)
    assert known.json() == file
    assert content.headers["content-type"] == media_type
    assert len(content.content) == file["sizeBytes"]
    assert Image.open(io.BytesIO(content.content)).size == (64, 48)


async def test_metadata_does_not_survive_the_door(gateway: RunningGateway) -> None:
    """No place, no camera, no name in what providers fetch."""
    exif = Image.Exif()
    exif[0x010E] = "taken at home by Ada"
    async with gateway.calling() as http:
        kept = await upload(http, a_photo("JPEG", exif=exif))
        content = (await http.get(kept.json()["url"])).content

    assert b"by Ada" in a_photo("JPEG", exif=exif)
    assert b"by Ada" not in content
    assert not Image.open(io.BytesIO(content)).getexif()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"%PDF-1.7 hello", id="another format"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
        pytest.param(a_photo("GIF"), id="gif"),
        pytest.param(a_photo("PNG")[:-20], id="cut short"),
        pytest.param(a_photo("JPEG")[:100], id="header only"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + b"\0" * 100, id="magic bytes only"),
        pytest.param(a_bomb(), id="bomb"),
    ],
)
async def test_file_that_is_no_picture_is_refused_and_not_kept(
    gateway: RunningGateway, content: bytes
) -> None:
    """415 with a reason and a remedy."""
    async with gateway.calling() as http:
        answer = await upload(http, content, name="photo.png")

    problem = answer.json()
    assert answer.status_code == 415
    assert problem["code"] == "unsupported_file"
    assert problem["field"] == "file"
    assert problem["reason"]
    assert problem["remedy"]


@pytest.mark.parametrize("is_announced", [True, False])
async def test_file_beyond_the_limit_is_refused(house: House, is_announced: bool) -> None:  # noqa: FBT001 -- a parameter of the example
    """413, whether the length is announced or not."""
    gateway = await house.gateway(
        changes={"max_file_bytes": 100_000}, pictures=PillowPictureCheck()
    )
    form = httpx.Request(
        "POST", gateway.url, files={"file": ("photo.png", b"\x89PNG" + b"\0" * 300_000)}
    )
    body = form.read()

    async def pieces() -> AsyncGenerator[bytes]:
        for start in range(0, len(body), 16_384):
            yield body[start : start + 16_384]

    async with gateway.calling() as http:
        answer = await http.post(
            "/v1/files",
            content=body if is_announced else pieces(),
            headers={"Content-Type": form.headers["content-type"]},
        )

    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert answer.json()["remedy"]


async def test_file_just_beyond_the_limit_is_refused_by_its_own_size(house: House) -> None:
    """The form around a file does not count, the file does."""
    gateway = await house.gateway(changes={"max_file_bytes": 1000}, pictures=PillowPictureCheck())
    photo = a_photo("PNG", size=(64, 48)) + b"\0" * 1000
    async with gateway.calling() as http:
        answer = await upload(http, photo)

    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


@pytest.mark.parametrize(
    ("form", "blamed"),
    [
        ({"files": {"photo": ("a.png", b"x")}}, "file"),
        ({"files": {}}, "file"),
        ({"data": {"file": "text"}}, "file"),
        ({"json": {"file": "text"}}, "file"),
    ],
)
async def test_form_without_a_file_is_refused_by_name(
    gateway: RunningGateway, form: dict[str, Any], blamed: str
) -> None:
    """The field is called file."""
    async with gateway.calling() as http:
        answer = await http.post("/v1/files", **form)

    assert answer.status_code == 422
    assert answer.json()["code"] == "validation_failed"
    assert answer.json()["field"] == blamed


async def test_malformed_form_is_refused(gateway: RunningGateway) -> None:
    """A body that is not the form it says it is."""
    async with gateway.calling() as http:
        answer = await http.post(
            "/v1/files",
            content=b"not a form",
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )

    assert answer.status_code == 422
    assert answer.json()["code"] == "validation_failed"


async def test_two_files_in_one_form_are_refused(gateway: RunningGateway) -> None:
    """One upload, one file."""
    both = [("file", ("a.png", a_photo("PNG"))), ("file", ("b.png", a_photo("PNG")))]
    async with gateway.calling() as http:
        answer = await http.post("/v1/files", files=both)

    assert answer.status_code == 422


async def test_provider_fetches_a_photo_with_its_signed_address(gateway: RunningGateway) -> None:
    """Without a key; the signature opens this one file."""
    async with gateway.calling() as http:
        kept = await upload(http, a_photo("PNG"))
        other = await upload(http, a_photo("PNG"))
    token = file_token(SECRET, FileId(kept.json()["id"]))
    async with gateway.calling(None) as provider:
        fetched = await provider.get(kept.json()["url"], params={"t": token})
        forged = await provider.get(other.json()["url"], params={"t": token})
        unsigned = await provider.get(kept.json()["url"])

    assert fetched.status_code == 200
    assert fetched.headers["content-type"] == "image/png"
    assert forged.status_code == 404
    assert unsigned.status_code == 401


async def test_photo_of_another_cannot_be_fetched_with_a_key(gateway: RunningGateway) -> None:
    """Not there, for its metadata and for its content."""
    async with gateway.calling() as ada, gateway.calling(BOB_KEY) as bob:
        kept = await upload(ada, a_photo("PNG"))
        answers = [
            await bob.get(kept.headers["location"]),
            await bob.get(kept.json()["url"]),
        ]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_uploaded_photo_can_be_used_in_a_job(gateway: RunningGateway) -> None:
    """Its id is what `product` takes."""
    async with gateway.calling() as http:
        kept = await upload(http, a_photo("PNG"))
        taken = await http.post("/v1/jobs", json=a_body(product=[kept.json()["id"]]))

    assert taken.status_code == 202
    assert taken.json()["data"]["files"] == [kept.json()["id"]]


async def store_picture(house: House, gateway: RunningGateway) -> StoredPicture:
    """Give Ada's job one stored picture of 1,000 bytes, with a thumbnail of 100."""
    files = open_files(f"file://{house.directory / 'files'}")
    picture = StoredPicture(
        sha256=await files.put(bytes(range(250)) * 4),
        thumbnail_sha256=await files.put(b"t" * 100),
        media_type="image/png",
        width=10,
        height=10,
        size_bytes=1000,
    )
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(items=(an_item(state=ItemState.STORED, picture=picture),))
    return picture


async def test_picture_is_read_by_its_hash_and_may_be_kept_for_ever(
    house: House, gateway: RunningGateway
) -> None:
    """Content under its own hash never changes."""
    picture = await store_picture(house, gateway)
    async with gateway.calling() as http:
        (image,) = (await http.get(f"/v1/jobs/{JOB}/images")).json()["images"]
        whole = await http.get(image["url"])
        known = await http.get(image["url"], headers={"If-None-Match": whole.headers["etag"]})

    assert whole.content == bytes(range(250)) * 4
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["content-length"] == "1000"
    assert whole.headers["etag"] == f'"{picture.sha256}"'
    assert "immutable" in whole.headers["cache-control"]
    assert "private" in whole.headers["cache-control"]
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert known.status_code == 304
    assert known.content == b""


async def test_thumbnail_is_read_by_either_hash(house: House, gateway: RunningGateway) -> None:
    """With `size=thumb`, or by the thumbnail's own hash."""
    picture = await store_picture(house, gateway)
    async with gateway.calling() as http:
        asked = await http.get(f"/v1/images/{picture.sha256}?size=thumb")
        named = await http.get(f"/v1/images/{picture.thumbnail_sha256}")

    assert asked.content == named.content == b"t" * 100
    assert asked.headers["content-type"] == named.headers["content-type"] == "image/webp"


async def test_part_of_a_picture_can_be_read(house: House, gateway: RunningGateway) -> None:
    """A download can be resumed."""
    picture = await store_picture(house, gateway)
    address = f"/v1/images/{picture.sha256}"
    async with gateway.calling() as http:
        part = await http.get(address, headers={"Range": "bytes=990-"})
        beyond = await http.get(address, headers={"Range": "bytes=1000-"})

    assert part.status_code == 206
    assert part.content == (bytes(range(250)) * 4)[990:]
    assert part.headers["content-range"] == "bytes 990-999/1000"
    assert part.headers["content-length"] == "10"
    assert beyond.status_code == 416
    assert beyond.json()["code"] == "range_not_satisfiable"


async def test_picture_whose_bytes_are_gone_is_said_to_be_missing(
    house: House, gateway: RunningGateway
) -> None:
    """The record says it is there, the disk does not: a problem, not a broken download."""
    picture = await store_picture(house, gateway)
    (house.directory / "files" / picture.sha256[:2] / picture.sha256).unlink()
    async with gateway.calling() as http:
        answer = await http.get(f"/v1/images/{picture.sha256}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("name", ["x", "A" * 64, "../etc/passwd", "%00", "a" * 63])
async def test_name_that_is_no_hash_is_not_found(gateway: RunningGateway, name: str) -> None:
    """Only hashes name pictures."""
    async with gateway.calling() as http:
        answer = await http.get(f"/v1/images/{name}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
