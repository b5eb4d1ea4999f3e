"""What the database remembers: SQLite for one machine, PostgreSQL for many, one code for both.

    engine threads outages    connections, transactions in threads, what counts as an outage
    sqlite_files              a SQLite file under its name
    columns rows              how a domain value is kept, and the tables
    jobs (with listing)       one port each: who writes a job and what is known of it,
    outbox (with batches)     its log,
    ledger prompts files      purchases, enhanced prompts, product photos
    doorbell                  a hint that something was written: chooses
    postgres_doorbell         LISTEN, or
    sqlite_doorbell           a counter of the file; both tell
    listeners                 everybody who follows in this process
    ringing                   the ring that leaves with a transaction
    migrate (migrations/)     brings a database to the tables of this version

SQL stands here and nowhere else.
"""
