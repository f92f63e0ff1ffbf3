"""Which endpoints let an agent teach the bot from the desk? They translate, and decide nothing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from services.customer_service.dashboard_schemas import IntentNames
from services.customer_service.desk_api import Person
from services.customer_service.desk_teaching import DeskTeacher
from services.customer_service.teaching_schemas import TeachIn, TeachOut

router = APIRouter(prefix="/v1/desk")


async def _teacher(request: Request) -> DeskTeacher:
    teacher: DeskTeacher = request.app.state.desk_teacher
    return teacher


Teaching = Annotated[DeskTeacher, Depends(_teacher)]


@router.get("/intents", response_model=IntentNames)
def intents(person: Person, teacher: Teaching) -> Any:
    """The names of all intents that have answers, to choose from."""
    return {"intents": teacher.intents()}


@router.post("/intents", response_model=TeachOut)
def teach(body: TeachIn, person: Person, teacher: Teaching) -> Any:
    """Make an answer of what was asked: live in the next message."""
    return teacher.teach(person, body)
