"""How does a base model become one that was fine-tuned on a company's own text?

classifier.py  labelled texts → the two presets; both end in the same artefact and report
    rows.py · linear.py · heads.py     classes and folds; linear fits; heads chosen on held-out rows
    judging.py                         what a model says of rows it never saw
    finetune.py                        the encoder tuned (torch), set by config.py · presets.py
        batches.py · objective.py · adversarial.py · adapters.py · dropout.py
    teachers.py · spread.py            distillation, and labels for unlabelled texts
    augment.py · translate.py          other words for the same
tokens.py      names and slots in a text
biencoder.py   texts that belong together (listwise.py: with behaviour)
reranker.py    two texts read as one
language.py    going on with masked-language pre-training (masking.py)
search.py      settings within a budget of minutes (space.py, trial.py)
loop.py        what all long runs share, on transformers' Trainer (reporting.py, tuning.py)
"""
