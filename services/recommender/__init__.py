"""The recommender: item text and behaviour in, a ranking by predicted interest out.

recommend.py   one request, top to bottom; its steps, pure:
  candidates.py · filters.py · interests.py · retrieval.py · signals.py · affinity.py · rankers.py ·
  trees.py · rules.py · places.py · diversity.py · scroll.py · explain.py
vectors.py · words.py · collaborative.py · factors.py · popularity.py   what signals are made of
search.py · trending.py · together.py · search_api.py   items found otherwise
rule_store.py · rules_api.py   the shop's rules in versions
catalogue.py · columns.py · follow.py · live.py · model.py   what a process holds in memory
ingest.py · importing.py · importers/ · uploads.py · item_schemas.py · items_api.py   items come in
events_api.py · event_schemas.py · outside_events.py · ga4.py · segment.py · comments.py   events do
store.py · event_store.py · event_rows.py · tables.py · migrations/   the database
users.py · users_api.py · users_cli.py · sessions.py   people, and pages that speak for them
answer_log.py · attribution.py · attribution_store.py · attribution_api.py   what answers brought
train.py · learning/ · evaluate.py · figures.py · baselines.py   how it learns and is judged
retraining.py · training_store.py · training_schemas.py · trainings_api.py · exporting.py ·
  promotion.py   how it goes on learning
client.py · client_calls.py · client_types.py   for a shop's own Python
app.py · api.py · schemas.py · domain.py · settings.py · cli.py · worker.py · metrics.py   the edges
"""
