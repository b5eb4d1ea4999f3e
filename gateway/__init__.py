"""The face: starts, steers and reads jobs; decides nothing that a workflow could.

    app          composition root: opens the adapters
    face         the one ASGI application over them
    deps         what a request is served with
    auth         who is calling, and in which role
    schemas      requests as they are written
    submitting   the way of a submit; door says whether one more is taken in
    steering     what becomes of an order to an open job
    quotes       what a cancel would bill and save
    retrying     the next run of a job; edits says what it is given
    triage       what operators decide about dead letters
    queue_watch  the line for slots, from what the pool said a moment ago
    bounds       rules that depend on settings, prices or other fields
    acceptance   from a body to what runs
    faults       what is wrong with a request, field by field
    errors       problems, and which failure becomes which
    wire         domain values as JSON (request_wire: a request)
    answers      the same, described; reference puts it into OpenAPI
    admin_*      the same three for operators: dead letters and deeds (operating_*: queue and gates)
    offers       what each paid provider draws
    commands/    starts, tells and asks workflows
    reading      which source answers a question about a job
    idempotency  the same request twice is one job
    cursors      where a list's next page begins
    conditional  If-None-Match and Range
    limits       caps on bodies and slow sockets
    routes/      HTTP
    live/        Socket.IO

Only `commands` knows workflows; only `app` knows adapters.
"""
