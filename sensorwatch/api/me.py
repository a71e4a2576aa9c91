"""Identity of the sender."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sensorwatch.api.access import Role
from sensorwatch.api.requests import Sender

__all__ = ["router"]

router = APIRouter(tags=["me"])


class Me(BaseModel):
    """Sender of the request with their roles."""

    name: str = Field(examples=["anna@example.com"])
    roles: list[Role] = Field(description="`read` allows viewing; `operator` allows actions as well.")
    authentication: Literal["local", "entra", "key"] = Field(description="Method that identified the sender.")


@router.get("/api/me")
def me(sender: Sender) -> Me:
    """Show the sender of the request with their roles."""
    return Me(name=sender.name, roles=list(sender.roles), authentication=sender.authentication)
