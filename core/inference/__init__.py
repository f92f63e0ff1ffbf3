"""How does a text become an embedding and a decision, without torch?

tokenizer.py    text → token ids                      (step 1)
onnx_session.py token ids → embeddings                (steps 2 and 3: encode, pool, normalise)
encoder.py      the three steps as one object
ngrams.py       hashed character n-grams, for what the encoder cannot read
heads.py        features → logits → calibrated probabilities
open_set.py     how surely a text is in scope (neighbours.py)
token_classifier.py  names and slots in a text (bio.py, offsets.py) · reranker.py  pairs of texts
classifier.py   a trained artefact: encoder, heads, neighbours
batching.py     many callers, one model thread · cache.py  texts seen before
export.py       torch model → ONNX (export_graph.py, onnx_graph.py)
quantize.py     int8 where it is proven harmless (int8.py)
"""
