"""How does one get a base model in a second, without a download?

A two-layer BERT of width 32 with random weights, and a word tokenizer made from a few sentences,
in the Hugging Face layout. It is loaded, tuned, exported and served by the same code as a real one;
only what it says is not worth much.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

_UNKNOWN = "[UNK]"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_SENTENCES = (
    "where is my order and when will it arrive",
    "i want my money back for this broken phone",
    "how do i return an item that i bought",
    "shares fall after the company cuts its profit forecast",
    "a light jacket for hiking in the rain",
)


def tiny_base_model(folder: Path, sentences: Sequence[str] = _SENTENCES, *, seed: int = 0) -> Path:
    """Write `config.json`, `model.safetensors` and `tokenizer.json` into `folder`; return it.

    The vocabulary holds single letters and digits, so that every Latin text can be read, and the
    words of `sentences`.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    folder.mkdir(parents=True, exist_ok=True)
    words = sorted({word for sentence in sentences for word in sentence.split()})
    pieces = ["[PAD]", _UNKNOWN, "[CLS]", "[SEP]", *_LETTERS, *(f"##{c}" for c in _LETTERS), *words]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    logging.disable_progress_bar()
    BertModel(config, add_pooling_layer=False).save_pretrained(str(folder))
    tokenizer_config = {"tokenizer_class": "BertTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config), encoding="utf-8")
    return folder
