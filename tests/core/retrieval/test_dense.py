"""Does dense search agree with brute force, whatever was stored, replaced and deleted before?"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.errors import ArtifactCorrupt, InvalidInput, ModelError, StorageError
from core.retrieval.dense import DenseIndex, KindChoice
from core.retrieval.ids import Hit

ENCODER = "tiny@1"


def unit_vectors(count: int, dimensions: int = 8, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(count: int, kind: str = "auto", **options) -> tuple[DenseIndex, np.ndarray]:
    vectors = unit_vectors(count)
    index = DenseIndex(8, ENCODER, kind, **options)
    index.add([f"id{i}" for i in range(count)], vectors)
    return index, vectors


def test_the_nearest_vector_comes_first() -> None:
    index = DenseIndex(2, ENCODER)
    index.add(["east", "north"], [[1, 0], [0, 1]])
    (hits,) = index.search([[0.6, 0.8]], 2)
    assert [hit.id for hit in hits] == ["north", "east"]
    assert [hit.score for hit in hits] == pytest.approx([0.8, 0.6])


def test_an_id_that_is_stored_again_is_replaced() -> None:
    index = DenseIndex(2, ENCODER)
    index.add(["a"], [[1, 0]])
    index.add(["a", "b", "b"], [[0, 1], [1, 0], [0.5, 0]])
    assert len(index) == 2
    assert index.search([[1, 0]], 5) == [[Hit("b", 0.5), Hit("a", 0.0)]]


def test_a_batch_equals_one_by_one() -> None:
    index, vectors = filled(300)
    index.delete(["id3"])
    batch = index.search(vectors[:5], 7)
    alone = [index.search(vector, 7)[0] for vector in vectors[:5]]
    for together, single in zip(batch, alone, strict=True):
        assert [hit.id for hit in together] == [hit.id for hit in single]
        assert [h.score for h in together] == pytest.approx([h.score for h in single], abs=1e-6)


def test_equal_scores_go_by_id() -> None:
    index = DenseIndex(2, ENCODER)
    index.add(["c", "a", "b"], [[1, 0]] * 3)
    assert [hit.id for hit in index.search([[1, 0]], 3)[0]] == ["a", "b", "c"]


def test_an_empty_index_finds_nothing() -> None:
    index = DenseIndex(2, ENCODER)
    assert index.search([[1, 0], [0, 1]], 3) == [[], []]
    index.add(["a"], [[1, 0]])
    assert index.delete(["a", "unknown", "a"]) == 1
    assert index.search([[1, 0]], 3) == [[]]
    assert index.search(np.empty((0, 2)), 3) == []


def test_exact_scores_of_named_ids() -> None:
    index, vectors = filled(5)
    scores = index.scores(vectors[0], ["id4", "unknown", "id0"])
    assert scores[0] == pytest.approx(float(vectors[4] @ vectors[0]), abs=1e-6)
    assert scores[1] is None
    assert scores[2] == pytest.approx(1, abs=1e-6)
    assert index.scores(vectors[0], []) == []


names = st.sampled_from("abcdefgh")
grid = st.integers(-3, 3).map(float)
vectors_of = st.lists(grid, min_size=3, max_size=3)


class AgainstBruteForce(RuleBasedStateMachine):
    """Any mix of storing and deleting, checked against a dict and numpy after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.index = DenseIndex(3, ENCODER)
        self.stored: dict[str, np.ndarray] = {}

    @rule(rows=st.lists(st.tuples(names, vectors_of), max_size=5))
    def store(self, rows) -> None:
        self.index.add([name for name, _ in rows], [vector for _, vector in rows])
        self.stored.update((name, np.array(vector)) for name, vector in rows)

    @rule(gone=st.lists(names, max_size=4))
    def delete(self, gone) -> None:
        expected = len({name for name in gone if name in self.stored})
        assert self.index.delete(gone) == expected
        for name in gone:
            self.stored.pop(name, None)

    @rule(query=vectors_of, top_k=st.integers(1, 10))
    def search(self, query, top_k) -> None:
        (hits,) = self.index.search([query], top_k)
        exact = {name: float(vector @ np.array(query)) for name, vector in self.stored.items()}
        assert [hit.score for hit in hits] == sorted(exact.values(), reverse=True)[:top_k]
        assert all(hit.score == exact[hit.id] for hit in hits)
        assert len({hit.id for hit in hits}) == len(hits)

    @invariant()
    def holds_the_same_ids(self) -> None:
        assert set(self.index.ids()) == set(self.stored)
        assert len(self.index) == len(self.stored)


TestAgainstBruteForce = AgainstBruteForce.TestCase
TestAgainstBruteForce.settings = settings(max_examples=40, stateful_step_count=20)


@settings(max_examples=15)
@given(st.sets(st.integers(0, 199)), st.integers(1, 30), st.sampled_from(["flat", "hnsw"]))
def test_deleted_ids_never_come_back_and_scores_never_rise(gone, top_k: int, kind: str) -> None:
    index, vectors = filled(200, kind)
    index.delete([f"id{i}" for i in gone])
    for hits in index.search(vectors[:10], top_k):
        assert not {hit.id for hit in hits} & {f"id{i}" for i in gone}
        assert len(hits) == min(top_k, 200 - len(gone))
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)


def test_many_deletions_rebuild_without_the_dead_rows() -> None:
    index, vectors = filled(400)
    index.delete([f"id{i}" for i in range(200)])
    assert index._ids.dead == 0
    assert index.search(vectors[300], 1)[0][0].id == "id300"


# --- choosing a kind


def test_up_to_the_limit_flat_search_serves() -> None:
    index, _ = filled(50, flat_limit=50)
    assert index.choose_kind(np.random.default_rng(0)) == KindChoice("flat", 50)


def test_above_the_limit_a_graph_serves_where_its_recall_was_measured() -> None:
    index, vectors = filled(600, flat_limit=500)
    before = index.search(vectors[:20], 10)
    choice = index.choose_kind(np.random.default_rng(0))
    assert choice.kind == "hnsw"
    assert choice.rows == 600
    assert choice.queries == 200
    assert choice.recall is not None
    assert choice.recall >= 0.95
    after = index.search(vectors[:20], 10)
    same = [len({h.id for h in a} & {h.id for h in b}) for a, b in zip(before, after, strict=True)]
    assert np.mean(same) >= 9.5
    index.add(["new"], vectors[:1] * 2)
    assert index.search(vectors[:1], 1)[0][0].id == "new"


def test_a_graph_that_misses_too_much_is_not_used() -> None:
    index, vectors = filled(600, flat_limit=500)
    choice = index.choose_kind(np.random.default_rng(0), vectors[:30], least_recall=1.01)
    assert choice.kind == "flat"
    assert choice.recall is not None
    assert choice.queries == 30


def test_a_kind_that_was_asked_for_is_kept() -> None:
    index, _ = filled(30, "hnsw", flat_limit=500)
    assert index.choose_kind(np.random.default_rng(0)).kind == "hnsw"


def test_searches_go_on_while_others_write() -> None:
    index, vectors = filled(300)
    stop, faults = threading.Event(), []

    def search() -> None:
        while not stop.is_set():
            for hits in index.search(vectors[:3], 10):
                if len(hits) != 10 or len({hit.id for hit in hits}) != 10:
                    faults.append(hits)

    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(30):
        index.add([f"id{i}" for i in range(20)], unit_vectors(20, seed=turn))
        index.delete([f"id{turn + 100}"])
    stop.set()
    for reader in readers:
        reader.join()
    assert not faults
    assert len(index) == 270


# --- on disk


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_a_saved_index_answers_the_same(tmp_path: Path, kind: str) -> None:
    index, vectors = filled(120, kind)
    index.delete(["id7"])
    index.save(tmp_path / "new" / "folder")
    loaded = DenseIndex.load(tmp_path / "new" / "folder", ENCODER, threads=2)
    assert loaded.search(vectors[:5], 10) == index.search(vectors[:5], 10)
    assert (loaded.ids(), loaded.choice, loaded.kind) == (index.ids(), index.choice, kind)
    assert loaded.threads == 2
    loaded.add(["id7"], vectors[7:8])
    assert loaded.search(vectors[7], 1)[0][0].id == "id7"


def test_saving_again_replaces_the_older_files(tmp_path: Path) -> None:
    index, vectors = filled(10)
    index.save(tmp_path)
    index.add(["more"], vectors[:1])
    index.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert "more" in DenseIndex.load(tmp_path, ENCODER)


def test_an_empty_index_survives_saving(tmp_path: Path) -> None:
    DenseIndex(8, ENCODER).save(tmp_path)
    assert len(DenseIndex.load(tmp_path, ENCODER)) == 0


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    filled(3)[0].save(tmp_path)
    with pytest.raises(ModelError, match=r"built with 'tiny@1', the encoder in use is 'tiny@2'"):
        DenseIndex.load(tmp_path, "tiny@2")


def damage_vectors(folder: Path) -> None:
    (path,) = folder.glob("vectors-*.faiss")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut_vectors(folder: Path) -> None:
    (path,) = folder.glob("vectors-*.faiss")
    path.write_bytes(path.read_bytes()[:20])


def remove_vectors(folder: Path) -> None:
    next(folder.glob("vectors-*.faiss")).unlink()


def edit_ids(folder: Path) -> None:
    path = folder / "index.json"
    path.write_text(path.read_text().replace("id1", "id9"))


def cut_index(folder: Path) -> None:
    path = folder / "index.json"
    path.write_bytes(path.read_bytes()[:40])


def wrong_shape(folder: Path) -> None:
    (folder / "index.json").write_text(json.dumps(["not", "an", "index"]))


def remove_index(folder: Path) -> None:
    (folder / "index.json").unlink()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (damage_vectors, r"vectors-.*\.faiss was edited or torn"),
        (cut_vectors, r"vectors-.*\.faiss was edited or torn"),
        (remove_vectors, r"vectors-.*\.faiss cannot be read"),
        (edit_ids, r"index\.json was edited or torn"),
        (cut_index, r"index\.json is not whole"),
        (wrong_shape, r"index\.json is not the file of an index"),
        (remove_index, r"index\.json cannot be read"),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage, named: str) -> None:
    filled(5)[0].save(tmp_path)
    damage(tmp_path)
    with pytest.raises(ArtifactCorrupt, match=named) as caught:
        DenseIndex.load(tmp_path, ENCODER)
    assert "Build the index again" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        filled(3)[0].save(tmp_path / "file")


# --- bad input


@pytest.mark.parametrize(
    ("embeddings", "said"),
    [
        (np.ones((1, 7)), r"expected vectors \(n, 8\), shape was: \(1, 7\)"),
        (np.ones(8), r"shape was: \(8,\)"),
        (np.full((1, 8), np.nan), "finite numbers only"),
        (np.ones((2, 8)), "found 1 ids for 2 rows"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(embeddings, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        DenseIndex(8, ENCODER).add(["a"], embeddings)


def test_a_query_of_other_dimensions_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"Encode with tiny@1\."):
        filled(3)[0].search(np.ones((1, 4)), 2)
    with pytest.raises(InvalidInput, match="top_k must be at least 1, was: 0"):
        filled(3)[0].search(np.ones((1, 8)), 0)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 1"):
        DenseIndex(0, ENCODER)
    with pytest.raises(InvalidInput, match="auto, flat or hnsw, was: 'ivf'"):
        DenseIndex(2, ENCODER, "ivf")  # type: ignore[arg-type]
