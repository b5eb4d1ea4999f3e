"""What the database remembers: SQLite for one machine, PostgreSQL for many, one code for both.

    engine       connections, short transactions, and the one translation of outages
    columns      how a domain value becomes a column and comes back
    rows         the tables
    jobs outbox ledger prompts files    one port each
    doorbell     a hint that something was written (postgres_doorbell, sqlite_doorbell)
    migrate      brings a database to the tables of this version (migrations/)

SQL stands here and nowhere else.
"""
