"""How is a recommender learnt from a shop's log? Training only: torch and scipy live here.

log.py         items and events as arrays, cut at a moment
pairs.py       (what a user had done, what they took next)
adapter.py     the text vectors, tuned on those pairs (torch)
encoder.py     the encoder itself, tuned on those pairs (torch; preset `accurate`)
behaviour.py   EASE and item-kNN from who took what
ranker.py      weights of the signals, and the calibration of the score
stages.py      all of it on one part of the log, judged on the next
"""
