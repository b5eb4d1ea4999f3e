"""Stand-ins for the paid APIs on real sockets, deterministic by seed; never in production.

The rooms of the house::

    __main__.py   the command line            options.py   every knob, once
    serving.py    sockets and signals         connections.py  what can befall a caller's connection
    app.py        wires everything            control.py   the /_control plane of tests and demos
    ledger.py     what was accepted, billed   prices.py    what it costs
    faults/       which call goes wrong, and how
    chat/         the DeepSeek stand-in
    gemini/       the Gemini stand-in, whose reply is the picture
    pictures/     the nanobananaapi.ai stand-in, its file host and its callbacks
    studio/       draws the pictures          easel.py   with threads to draw in
    sizes.py      how large they are          pace.py    and how long they take
    sample_product.py  a product photo to start from

Nothing here imports the product it stands in front of, so the two cannot share a mistake.
"""
