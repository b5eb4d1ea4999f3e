"""The heart of Darkroom, and the map of the house.

    domain            what a job is and which rules hold; standard library only
    differentiation   choose combinations that differ
    pictures          verify, clean and shrink pictures
    files             pictures on disk or in an object store, by content
    store             what the database remembers
    providers         the paid APIs
    runtime           the platforms: Temporal, logging
    settings          every environment variable, once

Around the heart: `activities` are steps that may fail, `workflows` are durable stories,
`gateway` is the face. The adapters here never see each other; only the composition roots
`worker.py` and `gateway/app.py` see them all.
"""
