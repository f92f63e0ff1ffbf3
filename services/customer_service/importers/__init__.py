"""How does what a company already has get into the service?

answers.py    intents.yaml: slots, answer templates, quick replies
articles.py   a folder of Markdown with front matter
"""
