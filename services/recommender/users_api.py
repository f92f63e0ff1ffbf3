"""What can a shop's server ask about its people? To merge, to hand out, to forget."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from core.web import requires
from services.recommender.api import Given
from services.recommender.event_schemas import ErasedOut, MergedOut, MergeIn
from services.recommender.schemas import Identifier
from services.recommender.users import PAGE, UserStore, page_out

router = APIRouter(prefix="/v1/users", dependencies=[requires("users")])


async def _users(request: Request) -> UserStore:
    users: UserStore = request.app.state.users
    return users


Users = Annotated[UserStore, Depends(_users)]
UserId = Annotated[Identifier, Path()]


@router.post("/merge", response_model=MergedOut)
def merge(body: MergeIn, users: Users, parts: Given) -> Any:
    """A session, or another id of theirs, is this user: one history from now on."""
    now = parts.seconds()
    if body.session_id is not None:
        return users.merge("session", body.session_id, body.user_id, now)
    return users.merge("user", body.from_user_id or "", body.user_id, now)


@router.get("/{user_id:path}/export")
def export(
    user_id: UserId,
    users: Users,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
) -> Any:
    """All that is kept of a user, a page at a time: `next` is the `after` of the following one."""
    return page_out(users.page(user_id, after, limit))


@router.delete("/{user_id:path}", response_model=ErasedOut)
def erase(user_id: UserId, users: Users, parts: Given) -> Any:
    """Forget a user and all that was merged into them."""
    return ErasedOut(user_id=user_id, events=users.erase(user_id, parts.seconds()))
