"""Socket.IO: the same log, pushed.

    messages       one event of the log as one message
    subscriptions  who on this gateway listens to which job, and up to which number they heard
    subscribing    the acknowledgement: snapshot, missed events, and where deltas begin
    relay          doorbell -> log -> sockets
    server         connections, authentication and caps
    doors          the way in, closed before a crowd costs anything

Nothing is buffered here: whoever is behind is read for again.
"""
