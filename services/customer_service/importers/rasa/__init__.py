"""How does a Rasa project get into the service?

project.py     which files there are, and the sections in them
loading.py     one YAML file, read as Rasa reads it, but with bounds
examples.py    a training example with its entities
nlu.py         examples, synonyms, regexes, lookups
domain.py      responses, slots, entities
rules.py       which intent is answered with which responses
slots.py       regexes and lookups as slots
answers.py     responses as the answers of an intent
read.py        all of it together
"""
