"""Choose combinations that differ from each other and from an owner's history.

Pure and seeded: numpy and the standard library, no chance of its own, and a clock only as a
safety stop for whoever wants one. The same request gives the same answer, byte for byte.

    differentiator   the story: list the space, or try algebra, then a sample
    question         a request in numbers
    ground           what there is to choose from
    selecting        which of it is chosen, in which order of wishes
    certifying       what the choice is worth
    refusing         why there is none; relaxing: what would help
    coverage         another wish: every pair of options at least once

    measures         how far words are apart; nearness: from a long history
    rules            which words the constraints forbid
    space            all words, or a sample
    candidates       combinations as a matrix
    limits           what no selection can beat; levels: which distances there are
    effort           work, counted

    spread           farthest-first
    packing          many words at a given distance, greedily
    codes            the same by algebra, among words that are there
    wordlists        the same by algebra, in a space too large to list; algebra chooses there
    fields           the arithmetic of both
    swapping         the same by exchange
    cliques          the same exactly, in tiny spaces
    fitting          the best of all these
    evening          an even use of the options; evenness: how even it is; balancing: exactly
    chance           seeded draws
"""

from darkroom.differentiation.differentiator import MaximinDifferentiator

__all__ = ["MaximinDifferentiator"]
