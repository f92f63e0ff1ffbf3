"""Which settings suit which amount of labels?

The default of FineTuneConfig is the preset `accurate`. These are the others that have a name; each
was chosen on validation rows of BANKING77's training part (benchmarks/README.md).
"""

from __future__ import annotations

from core.training.config import FineTuneConfig

# 5 to 20 examples a class: pairs of like texts in every batch teach the encoder beside the labels.
FEW_SHOT = FineTuneConfig(epochs=10, contrastive=0.5, label_smoothing=0.05, keep="last")
# The same rows and many unlabelled ones that a few-shot model has labelled.
SELF_TRAINING = FineTuneConfig(epochs=2, teacher_weight=0.5, label_smoothing=0.05, keep="last")
