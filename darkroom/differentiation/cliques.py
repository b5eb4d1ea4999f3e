"""The most words at a given distance, exactly, in tiny spaces.

Words are vertices, words far enough apart are joined; a largest clique is the answer. Branch
and bound with a greedy colouring as the bound. Source: E. Tomita and T. Seki, "An efficient
branch-and-bound algorithm for finding a maximum clique", 2003.

Vertex sets are integers: bit v stands for vertex v.
"""

from collections.abc import Iterator, Sequence

from darkroom.differentiation.candidates import Candidates


class CliqueSearch:
    """One search for a clique of `wanted` vertices, given up after `visits` branches."""

    def __init__(self, neighbours: Sequence[int], *, wanted: int, visits: int) -> None:
        self._neighbours = neighbours
        self._wanted = wanted
        self._visits_left = visits
        self._best: tuple[int, ...] = ()

    def run(self, start: Sequence[int]) -> tuple[int, ...]:
        """Find a clique larger than the one to start from, if there is one."""
        self._best = tuple(start)
        self._grow((), (1 << len(self._neighbours)) - 1)
        return self._best

    @property
    def is_exhausted(self) -> bool:
        """Say whether the search was given up, so that the answer proves nothing."""
        return self._visits_left <= 0

    @property
    def visits_left(self) -> int:
        """How many more branches might have been visited."""
        return max(0, self._visits_left)

    def _grow(self, clique: tuple[int, ...], joined: int) -> None:
        if len(clique) > len(self._best):
            self._best = clique
        self._visits_left -= 1
        for vertex, colours in reversed(list(self._colour(joined))):
            is_hopeless = len(clique) + colours <= len(self._best)
            if is_hopeless or self.is_exhausted or len(self._best) >= self._wanted:
                return
            self._grow((*clique, vertex), joined & self._neighbours[vertex])
            joined &= ~(1 << vertex)

    def _colour(self, uncoloured: int) -> Iterator[tuple[int, int]]:
        """Yield each vertex with the number of colours used so far, fewest first.

        A clique has at most one vertex of each colour.
        """
        colours = 0
        while uncoloured:
            colours += 1
            free = uncoloured
            while free:
                vertex = (free & -free).bit_length() - 1
                uncoloured &= ~(1 << vertex)
                free &= ~(1 << vertex) & ~self._neighbours[vertex]
                yield vertex, colours


def join_far_words(candidates: Candidates, *, threshold: float) -> list[int]:
    """Give for each word the set of words at least `threshold` away."""
    return [_far_from(candidates, place, threshold) for place in range(candidates.count)]


def _far_from(candidates: Candidates, place: int, threshold: float) -> int:
    measure, words = candidates.measure, candidates.words
    far = measure.reaches(measure.to_word(words[:, place], words), threshold)
    far[place] = False
    return sum(1 << int(other) for other in far.nonzero()[0])
