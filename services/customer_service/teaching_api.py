"""Which endpoints teach the running bot? They translate, and decide nothing.

Mounted before those of the intents: `…/intents/{name}/examples` would else be an intent of the name
`{name}/examples`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from core.errors import InvalidInput
from core.web import requires
from services.customer_service.candidates import RegressionTest, RegressionTests
from services.customer_service.examples import Example
from services.customer_service.schemas import Cursor, FeedbackEntry, Limit
from services.customer_service.teach import Promoter, Teacher
from services.customer_service.teaching_schemas import (
    AcceptIn,
    CandidateOut,
    CandidatesOut,
    ExamplesIn,
    ExamplesOut,
    ModelOut,
    ModelsOut,
    TestsIn,
    TestsOut,
    TestTextsIn,
)

router = APIRouter(prefix="/v1/admin", dependencies=[requires("admin")])

_EXAMPLES = "/intents/{name:path}/examples"
_LARGEST_NUMBER = 2**63 - 1
Number = Annotated[int, Path(ge=1, le=_LARGEST_NUMBER)]


async def _teacher(request: Request) -> Teacher:
    teacher: Teacher = request.app.state.teacher
    return teacher


async def _promoter(request: Request) -> Promoter:
    promoter: Promoter = request.app.state.promoter
    return promoter


async def _tests(request: Request) -> RegressionTests:
    tests: RegressionTests = request.app.state.regression_tests
    return tests


Teaching = Annotated[Teacher, Depends(_teacher)]
Promoting = Annotated[Promoter, Depends(_promoter)]
Testing = Annotated[RegressionTests, Depends(_tests)]


@router.get(_EXAMPLES, response_model=ExamplesOut)
def read_examples(name: str, teacher: Teaching) -> Any:
    """What was taught of an intent since the training."""
    return _shown(name, teacher.examples(name))


@router.post(_EXAMPLES, response_model=ExamplesOut)
def add_examples(name: str, body: ExamplesIn, teacher: Teaching) -> Any:
    """Teach more examples; the next message is read with them."""
    return _shown(name, teacher.add(name, body.texts))


@router.put(_EXAMPLES, response_model=ExamplesOut)
def write_examples(name: str, body: ExamplesIn, teacher: Teaching) -> Any:
    """Make these the examples of the intent."""
    return _shown(name, teacher.put(name, body.texts))


@router.delete(_EXAMPLES, response_model=ExamplesOut)
def delete_examples(name: str, body: ExamplesIn, teacher: Teaching) -> Any:
    """Forget these examples; what is left."""
    return _shown(name, teacher.remove(name, body.texts))


@router.post("/feedback/{number}/accept", response_model=FeedbackEntry)
def accept_feedback(number: Number, body: AcceptIn, teacher: Teaching) -> Any:
    """The message becomes an example of the intent."""
    return teacher.accept(number, body.intent)


@router.post("/feedback/{number}/reject", response_model=FeedbackEntry)
def reject_feedback(number: Number, teacher: Teaching) -> Any:
    """Nothing is learnt from it."""
    return teacher.reject(number)


@router.get("/tests", response_model=TestsOut)
def read_tests(tests: Testing) -> Any:
    """What a new model must not get worse at."""
    return {"tests": tests.all()}


@router.put("/tests", response_model=TestsOut)
def write_tests(body: TestsIn, tests: Testing) -> Any:
    """Store tests, in place of those of the same texts; all of them then."""
    said = [RegressionTest(test.text, test.intent, test.action) for test in body.tests]
    tests.put(said, datetime.now(UTC))
    return {"tests": tests.all()}


@router.delete("/tests", response_model=TestsOut)
def delete_tests(body: TestTextsIn, tests: Testing) -> Any:
    """Delete the tests of these texts; what is left."""
    tests.remove(body.texts)
    return {"tests": tests.all()}


@router.get("/models", response_model=ModelsOut)
def read_models(promoter: Promoting) -> Any:
    """All versions, newest first."""
    return {"models": promoter.versions()}


@router.post("/models/rollback", response_model=ModelOut)
def roll_back(promoter: Promoting) -> Any:
    """Back to the version before; every process answers with it within a second."""
    return promoter.rollback()


@router.get("/candidates", response_model=CandidatesOut)
def read_candidates(promoter: Promoting, limit: Limit = 50, cursor: Cursor = "") -> Any:
    """Retrained models, newest first, a page at a time."""
    if cursor and not (cursor.isascii() and cursor.isdigit() and int(cursor) <= _LARGEST_NUMBER):
        raise InvalidInput("`cursor` must be the next_cursor of an earlier page")
    found, following = promoter.candidates(limit=limit, cursor=int(cursor or 0))
    return {
        "candidates": [_line(one) for one in found],
        "next_cursor": None if following is None else str(following),
    }


@router.get("/candidates/{number}", response_model=CandidateOut)
def read_candidate(number: Number, promoter: Promoting) -> Any:
    """One of them, with what it would change."""
    return _line(promoter.candidate(number))


@router.post("/candidates/{number}/promote", response_model=CandidateOut)
def promote_candidate(number: Number, promoter: Promoting) -> Any:
    """Make it live, whatever spoke against it."""
    return _line(promoter.promote(number))


def _shown(intent: str, examples: Sequence[Example]) -> dict[str, Any]:
    return {
        "intent": intent,
        "examples": [
            {"text": e.text, "origin": e.origin, "created_at": e.created_at} for e in examples
        ],
    }


def _line(candidate: Mapping[str, Any]) -> dict[str, Any]:
    verdict = candidate["verdict"]
    return {
        **candidate,
        "passed": verdict["passed"],
        "reasons": verdict["reasons"],
        "changed": candidate["replay"].get("changed"),
    }
