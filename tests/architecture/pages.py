"""The pages of the house: README, CHANGELOG and docs, their links and their drawn parts."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import ROOT

FENCE = re.compile(r"^(```+)[^\n]*\n.*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One Markdown file."""

    path: Path
    text: str

    @property
    def place(self) -> str:
        """Its path from the root."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def prose(self) -> str:
        """The page without what stands in code."""
        return CODE.sub("", FENCE.sub("", self.text))

    def links(self) -> list[str]:
        """List where the page's links lead."""
        return LINK.findall(self.prose)

    def codes(self) -> list[str]:
        """List what the page sets in code inside its prose, without the ticks."""
        return [code.strip("`") for code in CODE.findall(FENCE.sub("", self.text))]

    def anchors(self) -> set[str]:
        """Name the places inside the page that a link may lead to."""
        return {_anchor(heading) for heading in HEADING.findall(FENCE.sub("", self.text))}

    def drawn(self, name: str) -> str:
        """Read the part of the page that is made from the code.

        Raises:
            LookupError: the page has no such part.
        """
        found = _part(name).search(self.text)
        if found is None:
            raise LookupError(f"{self.place} has no part '<!-- drawn: {name} -->'; add its markers")
        return found.group("drawn")

    def redrawn(self, name: str, drawing: str) -> str:
        """Answer the page's text with this part replaced.

        Raises:
            LookupError: the page has no such part.
        """
        self.drawn(name)
        return _part(name).sub(lambda found: f"{found['begin']}{drawing}{found['end']}", self.text)


def pages() -> list[Page]:
    """Read every page of the house."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return [read_page(path) for path in sorted(paths)]


def read_page(path: Path) -> Page:
    """Read one page."""
    return Page(path=path, text=path.read_text())


def _anchor(heading: str) -> str:
    """Make an anchor of a heading as the usual viewers do."""
    plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return plain.replace(" ", "-")


def _part(name: str) -> re.Pattern[str]:
    begin, end = re.escape(f"<!-- drawn: {name} -->\n\n"), re.escape("\n<!-- end -->")
    return re.compile(f"(?P<begin>{begin})(?P<drawn>.*?)(?P<end>{end})", re.DOTALL)
