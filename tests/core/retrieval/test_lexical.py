"""Does lexical search follow the BM25 formula, in any script, under any change?"""

from __future__ import annotations

import math
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ArtifactCorrupt, InvalidInput
from core.retrieval.lexical import LexicalIndex
from core.text import word_tokens

ARTICLES = {
    "returns": "How to return a parcel and get a refund",
    "delivery": "Delivery times: where is my parcel?",
    "退货": "如何退货：七天内可以申请退货",
    "运费": "运费由谁承担",
}


def index_of(texts: dict[str, str], **options: float) -> LexicalIndex:
    index = LexicalIndex(**options)
    index.add(list(texts), list(texts.values()))
    return index


def bm25(texts: dict[str, str], query: str, k1: float = 1.2, b: float = 0.75) -> dict[str, float]:
    """Lucene's formula, word by word: idf · tf / (tf + k1 · (1 - b + b · length / mean length))."""
    documents = {name: word_tokens(text) for name, text in texts.items()}
    mean = sum(map(len, documents.values())) / max(1, len(documents))
    scores: dict[str, float] = {}
    for word in word_tokens(query):
        holding = [name for name, words in documents.items() if word in words]
        idf = math.log(1 + (len(documents) - len(holding) + 0.5) / (len(holding) + 0.5))
        for name in holding:
            frequency = Counter(documents[name])[word]
            norm = k1 * (1 - b + b * len(documents[name]) / mean)
            scores[name] = scores.get(name, 0) + idf * frequency / (frequency + norm)
    return scores


def test_the_text_with_the_rare_words_comes_first() -> None:
    hits = index_of(ARTICLES).search("refund for a parcel", 10)
    assert [hit.id for hit in hits] == ["returns", "delivery"]


@pytest.mark.parametrize("query", ["退货", "我想申请退货", "退貨货"])
def test_chinese_queries_find_chinese_texts(query: str) -> None:
    assert index_of(ARTICLES).search(query, 3)[0].id == "退货"


@pytest.mark.parametrize("query", ["", "   ", "?!", "zebra", "👍"])
def test_a_query_without_a_known_word_finds_nothing(query: str) -> None:
    assert index_of(ARTICLES).search(query, 5) == []


def test_an_empty_index_and_texts_without_words_find_nothing() -> None:
    assert LexicalIndex().search("anything", 5) == []
    assert index_of({"a": "", "b": "?!"}).search("anything", 5) == []


def test_one_text_is_enough() -> None:
    assert [hit.id for hit in index_of({"a": "hello"}).search("hello", 5)] == ["a"]


def test_asking_for_more_than_there_is_gives_all_that_match() -> None:
    assert len(index_of(ARTICLES).search("parcel", 1000)) == 2


def test_a_change_is_seen_by_the_very_next_search() -> None:
    index = index_of(ARTICLES)
    assert index.search("zebra", 3) == []
    index.add(["zoo", "returns"], ["a zebra", "nothing"])
    assert [hit.id for hit in index.search("zebra", 3)] == ["zoo"]
    assert index.search("refund", 3) == []
    assert index.delete(["zoo", "unknown", "zoo"]) == 1
    assert index.search("zebra", 3) == []
    assert "zoo" not in index
    assert len(index) == 4


def test_no_progress_bar_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    index_of(ARTICLES).search("parcel", 3)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


texts = st.dictionaries(
    st.sampled_from("abcdef"), st.text(alphabet="xyz 退货", max_size=12), max_size=6
)


@given(texts, st.text(alphabet="xyz 退货w", max_size=8), st.integers(1, 8))
def test_scores_are_those_of_the_formula(corpus: dict[str, str], query: str, top_k: int) -> None:
    hits = index_of(corpus).search(query, top_k)
    expected = bm25(corpus, query)
    assert [hit.score for hit in hits] == pytest.approx(
        sorted(expected.values(), reverse=True)[:top_k], rel=1e-5
    )
    assert all(hit.score == pytest.approx(expected[hit.id], rel=1e-5) for hit in hits)


@given(texts, texts, st.sets(st.sampled_from("abcdef")))
def test_an_index_after_changes_equals_one_made_at_once(first, second, gone) -> None:
    index = index_of(first)
    index.search("x", 1)
    index.add(list(second), list(second.values()))
    index.delete(gone)
    kept = {name: text for name, text in {**first, **second}.items() if name not in gone}
    assert index.search("x y 退货", 9) == index_of(kept).search("x y 退货", 9)


def test_threads_that_search_and_change_see_whole_states_only() -> None:
    index = index_of({str(i): f"word{i} common" for i in range(50)})
    stop, faults = threading.Event(), []

    def search() -> None:
        while not stop.is_set():
            hits = index.search("common", 100)
            if len({hit.id for hit in hits}) != len(hits) or not 50 <= len(hits) <= 51:
                faults.append(hits)

    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(30):
        index.add(["extra"], ["common extra"])
        index.delete(["extra"])
    stop.set()
    for reader in readers:
        reader.join()
    assert not faults


def test_a_saved_index_answers_the_same(tmp_path: Path) -> None:
    index = index_of(ARTICLES, k1=1.5, b=0.5)
    index.save(tmp_path / "folder")
    loaded = LexicalIndex.load(tmp_path / "folder")
    assert (loaded.k1, loaded.b, len(loaded)) == (1.5, 0.5, 4)
    assert loaded.search("parcel 退货", 5) == index.search("parcel 退货", 5)


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    index_of(ARTICLES).save(tmp_path)
    path = tmp_path / "lexical.json"
    path.write_text(path.read_text().replace("parcel", "pencil"))
    with pytest.raises(ArtifactCorrupt, match=r"lexical\.json was edited or torn"):
        LexicalIndex.load(tmp_path)
    path.unlink()
    with pytest.raises(ArtifactCorrupt, match=r"lexical\.json cannot be read"):
        LexicalIndex.load(tmp_path)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InvalidInput, match="k1 ≥ 0 and b in"):
        LexicalIndex(k1=-1)
    with pytest.raises(InvalidInput, match="top_k must be at least 1"):
        LexicalIndex().search("x", 0)
    with pytest.raises(InvalidInput, match="found 1 ids for 2 rows"):
        LexicalIndex().add(["a"], ["x", "y"])
