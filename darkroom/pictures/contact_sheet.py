"""Many pictures on one sheet, as a photographer lays strips of film on paper.

Captions are set in Pillow's own font, which knows Latin letters only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from darkroom.pictures.reading import read_picture
from darkroom.pictures.thumbnails import shrink

PAPER, FILM, EDGE_PRINT, INK = "#1d1a17", "#080706", "#e2a54a", "#d9d3c9"
QUALITY = 92
CAPTION_LINES = 2
ELLIPSIS = "…"
HOLES_A_FRAME = 8  # as on 35 mm film

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(
    pictures: Sequence[tuple[str, bytes]], *, columns: int = 4, edge_pixels: int = 384
) -> bytes:
    """Lay out captioned pictures, numbered in the order given.

    Args:
        pictures: (caption, content) pairs, at least one.
        columns: most pictures in a strip.
        edge_pixels: longest edge of a picture on the sheet.

    Returns:
        A JPEG.

    Raises:
        ValueError: there are no pictures.
        PictureUnusable: the bytes of one are not a picture we keep.
    """
    if not pictures:
        raise ValueError("a contact sheet of no pictures; give at least one")
    sheet = _Sheet(edge=edge_pixels, columns=min(columns, len(pictures)), count=len(pictures))
    canvas = Image.new("RGB", sheet.size, PAPER)
    for row in range(sheet.rows):
        _draw_film(canvas, sheet, row)
    for place, (caption, content) in enumerate(pictures):
        small = shrink(read_picture(content), edge_pixels=edge_pixels)
        _draw_frame(canvas, sheet, place, small)
        _draw_caption(canvas, sheet, place, caption)
    written = BytesIO()
    canvas.save(written, "JPEG", quality=QUALITY, subsampling="4:4:4", progressive=True)
    return written.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """Where everything goes; all lengths follow from the edge of a frame."""

    edge: int
    columns: int
    count: int

    @property
    def rows(self) -> int:
        return -(-self.count // self.columns)

    @property
    def margin(self) -> int:
        return self.edge // 8

    @property
    def gap(self) -> int:
        return max(2, self.edge // 24)

    @property
    def band(self) -> int:
        """Height of the perforated edge of a strip."""
        return max(4, self.edge // 11)

    @property
    def letter(self) -> int:
        return max(8, self.edge // 20)

    @property
    def line(self) -> int:
        return self.letter * 4 // 3

    @property
    def strip(self) -> int:
        """Height of one strip of film."""
        return self.edge + 2 * self.band

    @property
    def row(self) -> int:
        """Height of a strip, its captions, and the paper below."""
        return self.strip + self.gap + CAPTION_LINES * self.line + self.margin // 2

    @property
    def size(self) -> tuple[int, int]:
        width = 2 * self.margin + self.columns * (self.edge + self.gap) + self.gap
        return width, self.margin * 3 // 2 + self.rows * self.row

    def strip_top(self, row: int) -> int:
        return self.margin + row * self.row

    def frame(self, place: int) -> tuple[int, int]:
        """Find the upper left corner of a frame."""
        row, column = divmod(place, self.columns)
        left = self.margin + self.gap + column * (self.edge + self.gap)
        return left, self.strip_top(row) + self.band


def _draw_film(canvas: Image.Image, sheet: _Sheet, row: int) -> None:
    """Draw an empty strip: as long as its pictures, with holes along both edges."""
    draw = ImageDraw.Draw(canvas)
    top, left = sheet.strip_top(row), sheet.margin
    frames = min(sheet.columns, sheet.count - row * sheet.columns)
    right = left + frames * (sheet.edge + sheet.gap) + sheet.gap
    draw.rectangle((left, top, right, top + sheet.strip), fill=FILM)
    pitch = (sheet.edge + sheet.gap) / HOLES_A_FRAME
    width, height = round(pitch * 0.46), round(sheet.band * 0.5)
    for hole in range(frames * HOLES_A_FRAME):
        x = round(left + sheet.gap / 2 + (hole + 0.5) * pitch - width / 2)
        for band_top in (top, top + sheet.strip - sheet.band):
            y = band_top + (sheet.band - height) // 2
            draw.rounded_rectangle((x, y, x + width, y + height), radius=height // 4, fill=PAPER)


def _draw_frame(canvas: Image.Image, sheet: _Sheet, place: int, small: Image.Image) -> None:
    """Paste a picture in the middle of its frame."""
    left, top = sheet.frame(place)
    corner = (left + (sheet.edge - small.width) // 2, top + (sheet.edge - small.height) // 2)
    canvas.paste(small, corner, small if small.mode == "RGBA" else None)


def _draw_caption(canvas: Image.Image, sheet: _Sheet, place: int, caption: str) -> None:
    """Write the number as film prints it, and the caption beside it."""
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(sheet.letter)
    left, top = sheet.frame(place)
    top += sheet.edge + sheet.band + sheet.gap
    number = f"{place + 1:02d}"
    indent = round(font.getlength(f"{number}  "))
    draw.text((left, top), number, font=font, fill=EDGE_PRINT)
    lines = fit_lines(caption, font=font, width=sheet.edge - indent)
    for number_of_line, line in enumerate(lines):
        draw.text((left + indent, top + number_of_line * sheet.line), line, font=font, fill=INK)


def fit_lines(text: str, *, font: Font, width: int) -> list[str]:
    """Break text between words into the lines there is room for; an ellipsis ends a cut."""
    lines = list(_break(text.split(), font, width))
    kept = lines[:CAPTION_LINES]
    if len(lines) > len(kept):
        kept[-1] += ELLIPSIS
    return [_shorten(line, font, width) for line in kept]


def _shorten(line: str, font: Font, width: int) -> str:
    """Cut letters, also of a single long word, until the line fits with its ellipsis."""
    shorter = line
    while shorter and font.getlength(line) > width:
        shorter = shorter.removesuffix(ELLIPSIS)[:-1].rstrip(" ·,")
        line = shorter + ELLIPSIS
    return line


def _break(words: Sequence[str], font: Font, width: int) -> Iterator[str]:
    line = ""
    for word in words:
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            yield line
            longer = word
        line = longer
    if line:
        yield line
