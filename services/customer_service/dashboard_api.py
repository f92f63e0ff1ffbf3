"""Which endpoints does the dashboard read? They translate, and decide nothing.

Mounted before those of the intents, as teaching_api.py is.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from core.web import Caller, requires
from services.customer_service.admin import Admin
from services.customer_service.dashboard_figures import Figures
from services.customer_service.dashboard_gaps import GapFinder
from services.customer_service.dashboard_promise import Promises
from services.customer_service.dashboard_schemas import (
    Days,
    FiguresOut,
    GapsOut,
    IntentNames,
    PromiseIn,
    PromiseOut,
)
from services.customer_service.desk_teaching_api import Teaching
from services.customer_service.teaching_schemas import TeachIn, TeachOut

ADMIN = requires("admin")
router = APIRouter(prefix="/v1/admin", dependencies=[ADMIN])


async def _figures(request: Request) -> Figures:
    figures: Figures = request.app.state.figures
    return figures


async def _promises(request: Request) -> Promises:
    promises: Promises = request.app.state.promises
    return promises


async def _gaps(request: Request) -> GapFinder:
    gaps: GapFinder = request.app.state.gaps
    return gaps


async def _admin(request: Request) -> Admin:
    admin: Admin = request.app.state.admin
    return admin


@router.get("/figures", response_model=FiguresOut)
def figures(found: Annotated[Figures, Depends(_figures)], days: Days = 7) -> Any:
    """What happened in the last days: messages by what was done, hand-overs, thumbs, intents."""
    return found.read(days)


@router.get("/promise", response_model=PromiseOut)
def promise(promises: Annotated[Promises, Depends(_promises)]) -> Any:
    """What the live model promises about wrong answers, and what another promise would cost."""
    return promises.read()


@router.post("/promise", response_model=PromiseOut)
def keep_promise(body: PromiseIn, promises: Annotated[Promises, Depends(_promises)]) -> Any:
    """Keep another promise: a new version of the live model, live at once; rollback goes back."""
    promises.keep(body.risk, body.version)
    return promises.read()


@router.get("/gaps", response_model=GapsOut)
def gaps(finder: Annotated[GapFinder, Depends(_gaps)], days: Days = 30) -> Any:
    """What the bot could not answer, in groups; of the newest 5,000 messages of the time."""
    return finder.find(days)


@router.get("/intents", response_model=IntentNames)
def intents(admin: Annotated[Admin, Depends(_admin)]) -> Any:
    """The names of all intents that have answers."""
    return {"intents": admin.intents()}


@router.post("/intents", response_model=TeachOut)
def teach(body: TeachIn, caller: Annotated[Caller, ADMIN], teacher: Teaching) -> Any:
    """Make an intent of a gap, or give one more examples: live in the next message."""
    return teacher.teach(caller, body)
