"""How does what a company already has get into the service?

answers.py    intents.yaml: slots, answer templates, quick replies
questions.py  a table of questions with their answers
rasa/         a Rasa project
articles.py   a folder of Markdown with front matter, or of HTML pages (html_pages.py)
training.py   the files for training that come out of it
"""
