"""The recommender: item text and behaviour in, a ranking by predicted interest out.

recommend.py   one request, top to bottom
interests.py · signals.py · rankers.py · candidates.py · rules.py · explain.py   its steps, pure
vectors.py · words.py · collaborative.py · popularity.py   what the signals are made of
catalogue.py · follow.py · live.py   what a process holds in memory, in step with the database
ingest.py · importing.py   how items and events get in
store.py · event_store.py · tables.py · migrations/   the database
train.py · learning/ · evaluate.py · figures.py · baselines.py   how it learns and is judged
app.py · api.py · schemas.py · settings.py · cli.py · worker.py   the edges
"""
