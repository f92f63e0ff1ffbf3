"""The support bot that knows what it knows.

One message, top to bottom: api.py → reply.py → understanding.py (which intent, how sure) →
domain.py (what to do about it) → templates.py (the answer of an intent) or knowledge.py and
compose.py (an answer from articles) → store.py (kept before it is sent).
"""
