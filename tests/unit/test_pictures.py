"""Bytes that claim to be pictures: every fault by real bytes, and nothing private kept."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFont, ImageOps, PngImagePlugin

from darkroom.domain.errors import PictureFault, PictureUnusable
from darkroom.pictures import PillowPictureCheck, contact_sheet, thumbnail, without_metadata
from darkroom.pictures.contact_sheet import fit_lines

FORMATS = ("png", "jpeg", "webp", "avif")
SECRET = b"51.4778N 0.0015W"
CAP = 1_000_000

# Made once: a profile tells when it was made. Its maker's types are unknown to Pillow's stubs.
PROFILE = ImageCms.ImageCmsProfile(cast("Any", ImageCms).createProfile("sRGB")).tobytes()


def a_picture(width: int = 96, height: int = 64) -> Image.Image:
    """Draw colours that differ in every corner, so that a turn shows."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([across, down, 255 - across / 2 - down / 2], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(picture_format: str, image: Image.Image | None = None, **options: Any) -> bytes:
    written = BytesIO()
    (image or a_picture()).save(written, picture_format, **options)
    return written.getvalue()


def private(picture_format: str, *, orientation: int = 1) -> bytes:
    """Encode a picture with everything cameras and editors like to tell."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = SECRET.decode()
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = SECRET.decode()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_itxt("Place", SECRET.decode())
    told: dict[str, dict[str, Any]] = {
        "png": {"pnginfo": text},
        "jpeg": {"comment": SECRET, "xmp": b"<x>" + SECRET, "quality": 90},
        "webp": {"xmp": b"<x>" + SECRET, "lossless": True},
        "avif": {"xmp": b"<x>" + SECRET, "quality": 90},
    }
    return encoded(picture_format, exif=exif, icc_profile=PROFILE, **told[picture_format])


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def pixels_of(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image.convert("RGB"), dtype=np.int16)


def fault_of(content: bytes, *, max_bytes: int = CAP) -> PictureFault:
    with pytest.raises(PictureUnusable) as refusal:
        PillowPictureCheck().prepare(content, max_bytes=max_bytes)
    return refusal.value.reason


def a_png_chunk(name: bytes, payload: bytes) -> bytes:
    checked = name + payload
    return struct.pack(">I", len(payload)) + checked + struct.pack(">I", zlib.crc32(checked))


def a_png_declaring(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(a_png_chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_sound_picture_is_recognised_by_its_bytes(picture_format: str) -> None:
    """Format, media type and size come from the content alone."""
    verified = PillowPictureCheck().verify(encoded(picture_format), max_bytes=CAP)

    assert verified.format == picture_format
    assert verified.media_type == f"image/{picture_format}"
    assert (verified.width, verified.height) == (96, 64)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG", b"This is only called lamp.png", b"<html>404</html>" * 99]
)
def test_what_only_claims_to_be_a_picture_is_refused(content: bytes) -> None:
    """Text, an error page, nothing at all."""
    assert fault_of(content) is PictureFault.NOT_AN_IMAGE


@pytest.mark.parametrize("other", ["gif", "bmp", "tiff", "ico"])
def test_other_formats_are_refused(other: str) -> None:
    """They are pictures, only not of a kind we keep."""
    assert fault_of(encoded(other)) is PictureFault.UNSUPPORTED


@pytest.mark.parametrize("picture_format", ["png", "webp", "avif"])
def test_moving_pictures_are_refused(picture_format: str) -> None:
    """A job delivers stills, and every frame would cost memory."""
    frames = [a_picture(), ImageOps.mirror(a_picture())]

    moving = encoded(picture_format, frames[0], save_all=True, append_images=frames[1:])

    assert fault_of(moving) is PictureFault.UNSUPPORTED


def test_the_cap_on_bytes_is_exact() -> None:
    """A picture of just the allowed size passes; one byte less room refuses it."""
    content = encoded("png")

    assert PillowPictureCheck().verify(content, max_bytes=len(content)).format == "png"
    assert fault_of(content, max_bytes=len(content) - 1) is PictureFault.TOO_LARGE


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    """A hundred bytes that declare 3.6 thousand million pixels never reach the decoder."""
    bomb = a_png_declaring(60_000, 60_000)

    assert len(bomb) < 100
    assert fault_of(bomb) is PictureFault.TOO_MANY_PIXELS


@pytest.mark.parametrize("picture_format", FORMATS)
def test_the_limit_on_pixels_is_exact(picture_format: str) -> None:
    """As many pixels as allowed pass; one fewer allowed refuses."""
    content = encoded(picture_format)

    assert PillowPictureCheck(max_pixels=96 * 64).verify(content, max_bytes=CAP).width == 96
    with pytest.raises(PictureUnusable) as refusal:
        PillowPictureCheck(max_pixels=96 * 64 - 1).verify(content, max_bytes=CAP)
    assert refusal.value.reason is PictureFault.TOO_MANY_PIXELS


@pytest.mark.parametrize("picture_format", FORMATS)
@settings(deadline=None, max_examples=60)
@given(missing=st.integers(1, 400))
def test_a_cut_picture_is_noticed_wherever_it_was_cut(picture_format: str, missing: int) -> None:
    """Even one missing byte at the end counts: the picture was paid for whole."""
    content = private(picture_format)

    assert fault_of(content[:-missing]) is PictureFault.TRUNCATED


@pytest.mark.filterwarnings("ignore::UserWarning")  # how Pillow says it skips broken EXIF
@pytest.mark.parametrize("picture_format", FORMATS)
@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_damage_is_an_answer_and_never_a_crash(picture_format: str, place: int, byte: int) -> None:
    """Whatever one byte becomes, the picture is prepared or refused with a reason."""
    damaged = bytearray(private(picture_format))
    damaged[place % len(damaged)] = byte

    try:
        PillowPictureCheck().prepare(bytes(damaged), max_bytes=CAP)
    except PictureUnusable as refusal:
        reason = refusal.reason
    else:
        reason = None

    assert reason is not PictureFault.TOO_LARGE


@pytest.mark.parametrize("picture_format", FORMATS)
def test_nothing_private_is_kept(picture_format: str) -> None:
    """No place, no name, no comment; the colour profile stays."""
    content = private(picture_format)

    cleaned = without_metadata(content)

    assert SECRET in content
    assert SECRET not in cleaned
    assert not opened(cleaned).getexif()
    assert not opened(cleaned).info.keys() & {"exif", "xmp", "comment", "Comment", "Place"}
    assert opened(cleaned).info["icc_profile"] == PROFILE


@pytest.mark.parametrize("picture_format", ["png", "jpeg", "webp"])
def test_cleaning_leaves_every_pixel(picture_format: str) -> None:
    """The file is cut apart, not encoded again."""
    content = private(picture_format)

    cleaned = without_metadata(content)

    assert np.array_equal(pixels_of(opened(cleaned)), pixels_of(opened(content)))


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_clean_picture_keeps_every_byte(picture_format: str) -> None:
    """So the hash of a picture without metadata is the hash the provider's file has."""
    content = encoded(picture_format, icc_profile=PROFILE)

    assert without_metadata(content) == content


def test_what_hides_behind_or_between_a_jpegs_scans_is_dropped() -> None:
    """Progressive scans stay; comments between them and bytes after the end do not."""
    content = encoded("jpeg", progressive=True)
    second_scan = content.index(b"\xff\xda", content.index(b"\xff\xda") + 2)
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(SECRET)) + SECRET
    hiding = content[:second_scan] + comment + content[second_scan:] + SECRET

    assert without_metadata(hiding) == content


@pytest.mark.parametrize("picture_format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_kept_the_right_way_up(picture_format: str, orientation: int) -> None:
    """What EXIF says is done before EXIF goes, and sizes are those of the upright picture."""
    content = private(picture_format, orientation=orientation)
    upright = ImageOps.exif_transpose(opened(content))

    prepared = PillowPictureCheck().prepare(content, max_bytes=CAP)

    kept, small = opened(prepared.content), opened(prepared.thumbnail)
    assert (prepared.verified.width, prepared.verified.height) == kept.size == upright.size
    assert np.abs(pixels_of(kept) - pixels_of(upright)).mean() < 2
    assert np.abs(pixels_of(small) - pixels_of(upright)).mean() < 5
    assert SECRET not in prepared.content + prepared.thumbnail
    assert without_metadata(prepared.content) == prepared.content


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1024, 1024), (320, 320)), ((1200, 300), (320, 80)), ((3, 900), (1, 320)), ((64, 48),) * 2],
)
def test_a_thumbnail_fits_its_square(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The longer edge shrinks to 320 pixels; a small picture is not enlarged."""
    small = opened(thumbnail(encoded("png", a_picture(*size))))

    assert small.format == "WEBP"
    assert small.size == expected


PICTURES_BY_MODE = {
    "1": a_picture().convert("1"),
    "L": a_picture().convert("L"),
    "P": a_picture().convert("P"),
    "I;16": Image.new("I;16", (96, 64), 40_000),
    "LA": Image.new("LA", (96, 64), (90, 128)),
    "RGBA": Image.new("RGBA", (96, 64), (200, 40, 40, 128)),
    "P with one clear colour": Image.new("RGBA", (96, 64)).convert("P"),
}


@pytest.mark.parametrize("mode", PICTURES_BY_MODE)
def test_a_thumbnail_is_made_of_any_mode(mode: str) -> None:
    """Grey, palette, transparent or deep: the thumbnail is colour, with alpha where there was."""
    content = encoded("png", PICTURES_BY_MODE[mode])

    small = opened(thumbnail(content, edge_pixels=48))

    assert small.size == (48, 32)
    assert small.mode == ("RGB" if mode in {"1", "L", "P", "I;16"} else "RGBA")


def test_a_print_picture_loses_the_profile_that_no_longer_fits() -> None:
    """A thumbnail of a CMYK picture is RGB, so it must not carry the CMYK profile."""
    content = encoded("jpeg", a_picture().convert("CMYK"), icc_profile=b"a profile of inks")

    assert "icc_profile" not in opened(thumbnail(content)).info


def test_a_contact_sheet_shows_every_picture_in_its_place() -> None:
    """Five pictures in rows of three: the colour of each is where it belongs."""
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]
    pictures = [("caption " * 30, encoded("png", Image.new("RGB", (64, 64), c))) for c in colours]

    sheet = opened(contact_sheet(pictures, columns=3, edge_pixels=64))

    centres = [(8 + 2 + 32 + 66 * column, row) for row in (45, 145) for column in range(3)]
    assert sheet.format == "JPEG"
    assert_near(sheet, colours, centres)


def assert_near(
    sheet: Image.Image, colours: list[tuple[int, int, int]], places: list[tuple[int, int]]
) -> None:
    pixels = pixels_of(sheet)
    for colour, (x, y) in zip(colours, places, strict=False):
        assert np.abs(pixels[y, x] - colour).max() < 12, (x, y)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: contact_sheet([]), ValueError),
        (lambda: contact_sheet([("torn", encoded("png")[:-20])]), PictureUnusable),
    ],
)
def test_a_contact_sheet_of_nothing_is_refused(
    make: Callable[[], bytes], error: type[Exception]
) -> None:
    """No pictures, or one that is not a picture."""
    with pytest.raises(error):
        make()


@settings(deadline=None)
@given(text=st.text(st.sampled_from("iW ·,…"), max_size=80), width=st.integers(20, 200))
def test_a_caption_stays_under_its_picture(text: str, width: int) -> None:
    """At most two lines, none wider than the picture, and nothing lost that has room."""
    font = ImageFont.load_default(12)

    lines = fit_lines(text, font=font, width=width)

    assert len(lines) <= 2
    assert all(font.getlength(line) <= width for line in lines)
    if font.getlength(text) <= width:
        assert " ".join(lines) == " ".join(text.split())
