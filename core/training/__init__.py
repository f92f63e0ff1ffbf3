"""How does a base model become one that was fine-tuned on a company's own text?

rows.py        labelled rows → texts and class numbers, and the folds they are judged by
heads.py       features → linear heads, chosen and calibrated on held-out rows
finetune.py    the whole encoder tuned (torch)
classifier.py  the two presets; both end in the same artefact and report
"""
