"""How are property tests run here? Without a limit on the time of one example.

How long a single example takes on a busy machine says nothing about the code.
"""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
