"""Who the sender is."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sensorwatch.api.access import Role
from sensorwatch.api.requests import Sender

__all__ = ["router"]

router = APIRouter(tags=["me"])


class Me(BaseModel):
    """Who sent the request and what they may do."""

    name: str = Field(examples=["anna@example.com"])
    roles: list[Role] = Field(description="`read`: look; `operator`: act as well.")
    authentication: Literal["local", "entra", "key"] = Field(description="How the request shows who sent it.")


@router.get("/api/me")
def me(sender: Sender) -> Me:
    """Say who the sender is and what they may do."""
    return Me(name=sender.name, roles=list(sender.roles), authentication=sender.authentication)
