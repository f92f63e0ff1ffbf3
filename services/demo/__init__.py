"""How does everything run at once on one machine, on the sample data?

cli.py        the command, top to bottom
steps.py      what must be there first: models, databases, sample content
processes.py  children that start together and never outlive the demo
"""
