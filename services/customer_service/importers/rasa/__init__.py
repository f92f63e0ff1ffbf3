"""How does a Rasa project get into the service?

project.py     which files there are, and the sections in them
loading.py     one YAML file, read as Rasa reads it, but with bounds
examples.py    a training example with its entities
nlu.py         examples, synonyms, regexes, lookups
filling.py     what a form asks for, and how a slot is filled
domain.py      responses, slots, forms, entities
rules.py       which intent is answered with which responses, or begins a form
slots.py       regexes and lookups as slots
forms.py       forms as ours
answers.py     responses as the answers of an intent
read.py        all of it together
"""
