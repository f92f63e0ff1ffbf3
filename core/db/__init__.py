"""How is state kept? SQLite or PostgreSQL by URL, migrated, with three tables every service has.

engine.py      an engine and sessions from a URL; the database's errors made ours
types.py       a moment in time that both databases give back alike
migrations.py  Alembic run from code, safe for two processes at once
tables.py      factories for the tables below, which a service takes into its own MetaData
keys.py · leases.py · outbox.py   what is done with those tables
"""
