"""The face: starts, signals and reads jobs; decides nothing.

    app          composition root: opens the adapters
    face         the one ASGI application over them
    deps         what a request is served with
    auth         who is calling
    schemas      requests as they are written
    submitting   the way of a submit
    bounds       rules that depend on settings, prices or other fields
    acceptance   from a body to what runs
    faults       what is wrong with a request, field by field
    errors       problems, and which failure becomes which
    wire         domain values as JSON (request_wire: a request)
    answers      the same, described; reference puts it into OpenAPI
    commands     starts, cancels and queries workflows
    reading      which source answers a question about a job
    idempotency  the same request twice is one job
    cursors      where a list's next page begins
    conditional  If-None-Match and Range
    limits       caps on bodies and slow sockets
    routes/      HTTP
    live/        Socket.IO

Only `commands` knows workflows; only `app` knows adapters.
"""
