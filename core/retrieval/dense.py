"""Which stored vectors have the largest inner product with a query? (The one file with FAISS.)

Flat search is exact and serves small sets; a graph (HNSW; Malkov and Yashunin 2018) serves large
ones where it was measured to find the same neighbours. Deleted and replaced rows stay in the index
as dead rows that no search returns, until their share calls for a rebuild.

Threads: any number of threads may search and write. Writers take turns; a search waits for the
short moments in which the index itself changes, never for a rebuild.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import faiss as _faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import ArtifactCorrupt, InvalidInput, ModelError
from core.files import sha256_of
from core.retrieval.files import read_sealed, storage_error, write_sealed
from core.retrieval.ids import Hit, IdMap, check_ids, check_top_k

faiss: Any = _faiss  # its type stubs lack part of what it has
Floats = NDArray[np.float32]
Kind = Literal["auto", "flat", "hnsw"]

INDEX_FILE = "index.json"
FLAT_LIMIT = 20_000  # rows; a flat search of 384 dimensions takes about 5 ms there
LEAST_RECALL = 0.95
_FORMAT = 1
_NEIGHBOURS = 32
_EF_CONSTRUCTION = 80
_EF_SEARCH = (64, 128, 256)
_SAMPLE = 200  # queries to measure recall on
_GRAPH_STEP = 64  # rows added to a graph between two chances for a search
_REBUILD_SHARE, _REBUILD_LEAST = 0.25, 64


@dataclass(frozen=True, slots=True)
class KindChoice:
    """Which index serves, and the figure behind it.

    `recall`: share of the exact top 10 that the graph found on `queries` sample queries over `rows`
    rows; None where nothing was measured. `ef_search`: how wide the graph is searched.
    """

    kind: Literal["flat", "hnsw"]
    rows: int = 0
    recall: float | None = None
    queries: int = 0
    ef_search: int = _EF_SEARCH[0]


class DenseIndex:
    """Vectors by external id. With unit vectors the scores are cosines."""

    def __init__(
        self,
        dimensions: int,
        encoder_id: str,
        kind: Kind = "auto",
        *,
        threads: int = 1,
        flat_limit: int = FLAT_LIMIT,
    ) -> None:
        """`encoder_id` names what made the vectors, and is checked when loading.

        "auto" starts flat; `choose_kind` may move to a graph above `flat_limit` rows. `threads` is
        the number of threads FAISS uses for one call.
        """
        if dimensions < 1 or threads < 1:
            raise InvalidInput(
                f"dimensions and threads must be at least 1, were: {dimensions}, {threads}"
            )
        if kind not in ("auto", "flat", "hnsw"):
            raise InvalidInput(f"kind must be auto, flat or hnsw, was: {kind!r}")
        self.dimensions = dimensions
        self.encoder_id = encoder_id
        self.kind: Kind = kind
        self.threads = threads
        self.flat_limit = flat_limit
        self.choice = KindChoice("hnsw" if kind == "hnsw" else "flat")
        self._ids = IdMap()
        self._index = self._new_index(self.choice.kind)
        self._selector: Any = None  # the live rows, for FAISS; None when it must be made anew
        self._writing = threading.RLock()  # held by the one writer
        self._lock = threading.Lock()  # held while the index itself is read or changed

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, external: object) -> bool:
        return external in self._ids

    def ids(self) -> list[str]:
        """The stored ids, in order of storing."""
        with self._lock:
            return self._ids.live_ids()

    def add(self, ids: Sequence[str], embeddings: ArrayLike) -> None:
        """Store `embeddings` (n, dimensions) under `ids`; an id that is there is replaced.

        Of an id given twice the last row counts. Raises InvalidInput for another shape and for
        values that are not finite.
        """
        vectors = self._checked(embeddings)
        names = check_ids(ids, len(vectors))
        last = {name: row for row, name in enumerate(names)}
        with self._writing:
            step = _GRAPH_STEP if self.choice.kind == "hnsw" else max(1, len(last))
            items = list(last.items())
            for start in range(0, len(items), step):
                self._append(items[start : start + step], vectors)
            self._rebuild_when_due()

    def _append(self, items: list[tuple[str, int]], vectors: Floats) -> None:
        rows = np.ascontiguousarray(vectors[[row for _, row in items]])
        with self._lock:
            faiss.omp_set_num_threads(self.threads)
            self._index.add(rows)
            for name, _ in items:
                self._ids.assign(name)
            self._selector = None

    def delete(self, ids: Iterable[str]) -> int:
        """Forget `ids`; unknown ones are no error. Gives how many were there."""
        with self._writing:
            with self._lock:
                count = sum(self._ids.release(name) for name in ids)
                self._selector = None
            self._rebuild_when_due()
        return count

    def search(self, queries: ArrayLike, top_k: int) -> list[list[Hit]]:
        """For each query (n, dimensions) its best `top_k` ids, or as many as there are.

        Scores never rise along a list; equal ones go by id. A single query (dimensions,) is taken
        as n = 1.
        """
        check_top_k(top_k)
        vectors = self._checked(np.atleast_2d(np.asarray(queries, dtype=np.float32)))
        with self._lock:
            wanted = min(top_k, len(self._ids))
            if wanted == 0 or len(vectors) == 0:
                return [[] for _ in vectors]
            scores, rows = self._search_live(vectors, wanted)
            return [self._hits(*pair) for pair in zip(scores, rows, strict=True)]

    def _search_live(self, vectors: Floats, wanted: int) -> tuple[Floats, NDArray[np.int64]]:
        faiss.omp_set_num_threads(self.threads)
        width = max(self.choice.ef_search, wanted)
        while True:
            scores, rows = self._index.search(vectors, wanted, params=self._parameters(width))
            # A graph walk through many dead rows may end too early; walk wider.
            if (rows >= 0).all() or width >= self._index.ntotal:
                return scores, rows
            width *= 4

    def _parameters(self, width: int) -> Any:
        options: dict[str, Any] = {}
        if self._ids.dead:
            if self._selector is None:
                bits = np.packbits(self._ids.live_mask(), bitorder="little")
                self._selector = faiss.IDSelectorBitmap(bits)
            options["sel"] = self._selector
        if self.choice.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=width, **options)
        return faiss.SearchParameters(**options) if options else None

    def _hits(self, scores: Floats, rows: NDArray[np.int64]) -> list[Hit]:
        found = [
            Hit(name, float(score))
            for score, row in zip(scores, rows, strict=True)
            if row >= 0 and (name := self._ids.external(int(row))) is not None
        ]
        return sorted(found, key=lambda hit: (-hit.score, hit.id))

    def scores(self, query: ArrayLike, ids: Sequence[str]) -> list[float | None]:
        """The exact score of one query (dimensions,) with each id; None for an unknown id."""
        vector = self._checked(np.atleast_2d(np.asarray(query, dtype=np.float32)))[0]
        with self._lock:
            rows = [self._ids.number(name) for name in ids]
            known = np.array([row for row in rows if row is not None], dtype=np.int64)
            found = iter(self._index.reconstruct_batch(known) @ vector if known.size else ())
            return [None if row is None else float(next(found)) for row in rows]

    # --- which kind, and rebuilding ------------------------------------------------------------

    def choose_kind(
        self,
        rng: np.random.Generator,
        queries: ArrayLike | None = None,
        *,
        least_recall: float = LEAST_RECALL,
    ) -> KindChoice:
        """Move to a graph where it pays and is good enough; the caller says when (a worker, not a
        request: a graph of 20,000 rows takes some seconds to build).

        Up to `flat_limit` rows flat search serves. Above, a graph is built and its recall@10
        against flat search measured on up to 200 `queries` (n, dimensions), else on stored vectors
        with noise; it serves when that reaches `least_recall`, searched as wide as that needs.
        Only for kind "auto"; others are left as they are.
        """
        with self._writing:
            if self.kind != "auto":
                return self.choice
            vectors, names = self._live()
            flat = self._build("flat", vectors)
            index, choice = flat, KindChoice("flat", len(names))
            if len(names) > self.flat_limit:
                sample = self._sample_queries(rng, queries, vectors)
                graph = self._build("hnsw", vectors)
                choice = _measure(flat, graph, sample, least_recall)
                index = graph if choice.kind == "hnsw" else flat
            self._swap(index, names, choice)
            return choice

    def _sample_queries(
        self, rng: np.random.Generator, queries: ArrayLike | None, vectors: Floats
    ) -> Floats:
        pool = vectors if queries is None else self._checked(queries)
        if len(pool) == 0:
            raise InvalidInput("expected at least 1 query to measure recall on, found 0")
        chosen = pool[rng.choice(len(pool), min(_SAMPLE, len(pool)), replace=False)]
        if queries is not None:
            return np.ascontiguousarray(chosen)
        # A stored vector is its own nearest neighbour, which is too easy to find.
        noise = rng.normal(size=chosen.shape) * chosen.std(axis=1, keepdims=True) / 2
        return np.ascontiguousarray(chosen + noise, dtype=np.float32)

    def _rebuild_when_due(self) -> None:
        if self._ids.dead > max(_REBUILD_LEAST, _REBUILD_SHARE * self._ids.rows):
            vectors, names = self._live()
            self._swap(self._build(self.choice.kind, vectors), names, self.choice)

    def _live(self) -> tuple[Floats, list[str]]:
        """The live vectors and their ids; the caller holds `_writing`."""
        rows = np.flatnonzero(self._ids.live_mask())
        if rows.size == 0:
            return np.empty((0, self.dimensions), dtype=np.float32), []
        return self._index.reconstruct_batch(rows), self._ids.live_ids()

    def _build(self, kind: Literal["flat", "hnsw"], vectors: Floats) -> Any:
        faiss.omp_set_num_threads(self.threads)
        index = self._new_index(kind)
        if len(vectors):
            index.add(np.ascontiguousarray(vectors))
        return index

    def _swap(self, index: Any, names: list[str], choice: KindChoice) -> None:
        with self._lock:
            self._index, self._ids = index, IdMap(names)
            self.choice, self._selector = choice, None

    def _new_index(self, kind: Literal["flat", "hnsw"]) -> Any:
        if kind == "flat":
            return faiss.IndexFlatIP(self.dimensions)
        index = faiss.IndexHNSWFlat(self.dimensions, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _EF_CONSTRUCTION
        return index

    def _checked(self, embeddings: ArrayLike) -> Floats:
        vectors = np.ascontiguousarray(embeddings, dtype=np.float32)
        if vectors.size == 0 and vectors.ndim <= 2:
            vectors = vectors.reshape(0, self.dimensions)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimensions:
            raise InvalidInput(
                f"expected vectors (n, {self.dimensions}), shape was: {vectors.shape}",
                mend=f"Encode with {self.encoder_id}.",
            )
        if not np.isfinite(vectors).all():
            raise InvalidInput("vectors must hold finite numbers only")
        return vectors

    # --- on disk -------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write the index into `folder`: index.json and one FAISS file that it names.

        The FAISS file has its checksum in its name and index.json is replaced last, so a crash
        leaves the older index whole. Raises StorageError.
        """
        folder = Path(folder)
        with self._writing:
            vectors = self._write_vectors(folder)
            content = {
                "format": _FORMAT,
                "dimensions": self.dimensions,
                "encoder_id": self.encoder_id,
                "kind": self.kind,
                "choice": asdict(self.choice),
                "vectors": vectors.name,
                "vectors_sha256": sha256_of(vectors),
                "ids": self._ids.externals(),
            }
            write_sealed(folder / INDEX_FILE, content)
        for stale in folder.glob("vectors-*.faiss"):
            if stale.name != vectors.name:
                stale.unlink(missing_ok=True)

    def _write_vectors(self, folder: Path) -> Path:
        aside = folder / ".vectors.faiss.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            faiss.write_index(self._index, str(aside))
            path = folder / f"vectors-{sha256_of(aside)[:16]}.faiss"
            aside.replace(path)
        except (OSError, RuntimeError) as error:
            raise storage_error(folder, aside, error) from error
        return path

    @classmethod
    def load(
        cls,
        folder: str | Path,
        encoder_id: str,
        *,
        threads: int = 1,
        flat_limit: int = FLAT_LIMIT,
    ) -> Self:
        """The index saved in `folder`.

        Raises ArtifactCorrupt, naming the file, for what is missing, torn or edited, and ModelError
        when the vectors were made by another encoder than `encoder_id`.
        """
        folder = Path(folder)
        content = read_sealed(folder / INDEX_FILE)
        if content.get("format") != _FORMAT:
            raise ArtifactCorrupt(
                f"{folder / INDEX_FILE}: expected format {_FORMAT}, found {content.get('format')}",
                mend="Build the index again and save it.",
            )
        if content["encoder_id"] != encoder_id:
            raise ModelError(
                f"the index in {folder} was built with {content['encoder_id']!r}, "
                f"the encoder in use is {encoder_id!r}",
                mend="Build the index again with the encoder in use.",
            )
        index = cls(
            content["dimensions"],
            encoder_id,
            content["kind"],
            threads=threads,
            flat_limit=flat_limit,
        )
        index.choice = KindChoice(**content["choice"])
        index._ids = IdMap(content["ids"])
        index._index = _read_vectors(folder / content["vectors"], content["vectors_sha256"])
        if (index._index.d, index._index.ntotal) != (index.dimensions, index._ids.rows):
            raise ArtifactCorrupt(
                f"{folder / content['vectors']} does not fit {INDEX_FILE}",
                mend="Build the index again and save it.",
            )
        return index


def _read_vectors(path: Path, sha256: str) -> Any:
    mend = "Build the index again and save it."
    try:
        if sha256_of(path) != sha256:
            raise ArtifactCorrupt(f"{path} was edited or torn: its SHA-256 differs", mend=mend)
        return faiss.read_index(str(path))
    except OSError as error:
        raise ArtifactCorrupt(f"{path} cannot be read: {error.strerror}", mend=mend) from error
    except RuntimeError as error:
        raise ArtifactCorrupt(f"{path} is no FAISS index: {error}", mend=mend) from error


def _measure(flat: Any, graph: Any, queries: Floats, least_recall: float) -> KindChoice:
    """The narrowest search of the graph that reaches `least_recall`, else flat."""
    top_k = min(10, flat.ntotal)
    exact, _ = flat.search(queries, top_k)
    recall = 0.0
    for width in _EF_SEARCH:
        found, _ = graph.search(queries, top_k, params=faiss.SearchParametersHNSW(efSearch=width))
        # By score, not by row: of equal rows either is right.
        recall = float(np.mean(found >= exact[:, -1:] - 1e-6))
        if recall >= least_recall:
            return KindChoice("hnsw", graph.ntotal, recall, len(queries), width)
    return KindChoice("flat", graph.ntotal, recall, len(queries))
