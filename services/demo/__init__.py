"""How does everything run at once on one machine, on the sample data?

cli.py         the command, top to bottom
steps.py       what must be there first: models, databases, sample content
processes.py   children that start together and never outlive the demo
start_page.py  what a person sees first
visitors.py    made-up people who ask the bot and look at the shelves
history.py     what they did before the demo began
traffic.py     what they do while it runs
"""
