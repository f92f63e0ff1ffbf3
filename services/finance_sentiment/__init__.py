"""The news monitor: which topic is turning bad, and how sure is that?

One pass, top to bottom, is told in monitor.py:

    feeds.py (fetch) → feed_formats.py (bytes to entries) → stories.py (clean, tell apart) →
    store.py (kept) → labels.py (topic and sentiment) → alerts.py (what the counts say)

Pure modules, without input or output: domain, stories, feed_formats, trends, surge, baseline,
alerts, rules.
"""
