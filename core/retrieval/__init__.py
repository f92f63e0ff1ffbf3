"""Which texts answer a query? Dense (FAISS), lexical (BM25) and hybrid search by external id."""
