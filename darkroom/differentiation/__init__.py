"""Choose combinations that differ from each other and from an owner's history.

Pure and seeded: numpy and the standard library, no clock, no chance of its own. The same
request gives the same answer, byte for byte.

    differentiator   the story: what is chosen, in which order of wishes
    ground           what one request has to choose from, and what limits it
    space            which combinations exist under the constraints
    candidates       combinations as a matrix, and how far they are apart
    limits           what no selection can beat
    spread           farthest-first
    evenness         how evenly options are used
    packing          many words at a given distance, greedily
    codes            many words at a given distance, by algebra
    cliques          the most words at a given distance, exactly, in tiny spaces
    fitting          the best of packing, codes and cliques
    chance           seeded draws
"""

from darkroom.differentiation.differentiator import MaximinDifferentiator

__all__ = ["MaximinDifferentiator"]
