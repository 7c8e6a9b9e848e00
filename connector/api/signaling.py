"""The door for foreign control planes: Data Plane Signaling, and what EDC spoke before it.

A control plane shows its token as `Authorization: Bearer <token>` (or bare). EDC 0.15 sends no header to a
data plane, so the token may also be part of the URL under which EDC registers us: `/signaling/edc/<token>`.

Source: Data Plane Signaling, signaling-data-plane-openapi.yaml; EDC 0.15.1, DataPlaneSignalingClient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask
from starlette.responses import Response

from connector.signaling.dialects import SPEECH
from connector.signaling.service import DataFlows, Standing
from schemas.binding.server import answer, bounded_body, parse_json
from schemas.dps import ControlPlaneRegistrationMessage, DataFlowStatusResponseMessage, FlowState
from schemas.errors import Forbidden, NotFound, Unauthenticated

PREFIX = "/signaling"
MOST_BODY = 1 << 20

_NOTES = ("started", "suspend", "resume", "terminate", "completed")
"""What a control plane says of a flow that exists, as the paths name it."""
_PROMISED = (FlowState.PREPARING, FlowState.STARTING)


async def _json(request: Request) -> Any:
    return parse_json(await bounded_body(request, MOST_BODY) or b"{}")


Body = Annotated[Any, Depends(_json)]
Door = Callable[..., Response]


def signaling_router(
    *,
    flows: DataFlows,
    known: Callable[[str], str | None],
    any_known: bool,
    new_id: Callable[[], str],
    followed: Callable[[str], None],
) -> APIRouter:
    """Return the doors below `/signaling`.

    Args:
        flows: the service behind both dialects.
        known: returns the id of the control plane that shows a token.
        any_known: whether the operator configured any.
        new_id: makes message ids.
        followed: is called with a flow's id once the answer has left.
    """

    async def keep_out(request: Request) -> None:
        # Before a body is read: who is not known here is not listened to.
        if not any_known:
            raise Forbidden(
                "no control plane may use this data plane; the operator has to set signaling.control_planes"
            )
        shown = _shown(request)
        found = known(shown) if shown else None
        if found is None:
            raise Unauthenticated(
                "expected 'Authorization: Bearer <token>' with the token that the operator set for this "
                "control plane (signaling.control_planes, token_file)"
            )
        request.state.plane = flows.plane(found)

    router = APIRouter(prefix=PREFIX, dependencies=[Depends(keep_out)])
    _Doors(flows, new_id, followed).open(router)
    return router


def _shown(request: Request) -> str:
    """Return the token that a caller shows, in a header or, where EDC can do no better, in the path."""
    header = request.headers.get("authorization", "").strip()
    kind, _, rest = header.partition(" ")
    token = rest.strip() if kind.lower() == "bearer" else header
    return token or str(request.path_params.get("token", ""))


class _Doors:
    def __init__(self, flows: DataFlows, new_id: Callable[[], str], followed: Callable[[str], None]) -> None:
        self._flows, self._new_id, self._followed = flows, new_id, followed

    def open(self, router: APIRouter) -> None:
        """Hang the doors of both dialects into a router."""

        def add(path: str, door: Door, method: str = "POST") -> None:
            router.add_api_route(path, door, methods=[method], response_model=None)

        add("/dataflows/prepare", self._prepare(by_process=False))
        add("/dataflows/start", self._start(by_process=False))
        for what in _NOTES:
            add(f"/dataflows/{{flow}}/{what}", self._tell(what, by_process=False))
        add("/dataflows/{flow}/status", self._status, "GET")
        add("/controlplanes", self._register, "PUT")
        add("/controlplanes", self._leave, "DELETE")
        for base in ("/edc", "/edc/{token}"):
            add(f"{base}/prepare", self._prepare(by_process=True))
            add(f"{base}/start", self._start(by_process=True))
            add(f"{base}/{{flow}}/suspend", self._tell("suspend", by_process=True))
            add(f"{base}/{{flow}}/terminate", self._tell("terminate", by_process=True))
            add(f"{base}/check", self._check, "GET")

    def _prepare(self, *, by_process: bool) -> Door:
        def prepare(request: Request, said: Body) -> Response:
            plane = _plane(request, by_process=by_process)
            return self._reply(plane, self._flows.prepare(plane, SPEECH[plane.dialect].wanted(said, plane)))

        return prepare

    def _start(self, *, by_process: bool) -> Door:
        def start(request: Request, said: Body) -> Response:
            plane = _plane(request, by_process=by_process)
            return self._reply(plane, self._flows.start(plane, SPEECH[plane.dialect].wanted(said, plane)))

        return start

    def _tell(self, what: str, *, by_process: bool) -> Door:
        def tell(request: Request, flow: str, said: Body) -> Response:
            plane = _plane(request, by_process=by_process)
            note = SPEECH[plane.dialect].note(said)
            return self._reply(plane, self._flows.tell(plane, flow, what, note))

        return tell

    def _status(self, request: Request, flow: str) -> Response:
        found = self._flows.of(_plane(request, by_process=False), flow)
        return answer(DataFlowStatusResponseMessage(data_flow_id=found.pid, state=found.state))

    def _check(self, request: Request) -> Response:
        """Say that we are there; EDC asks before it uses a data plane."""
        _plane(request, by_process=True)
        return Response(status_code=204)

    def _register(self, request: Request, said: Body) -> Response:
        plane = _plane(request, by_process=False)
        self._flows.register(plane, ControlPlaneRegistrationMessage.read(said))
        return Response(status_code=200)

    def _leave(
        self,
        request: Request,
        controlplane_id: Annotated[str, Query(alias="controlplaneId", max_length=512)],
    ) -> Response:
        self._flows.leave(_plane(request, by_process=False), controlplane_id)
        return Response(status_code=204)

    def _reply(self, plane: Any, standing: Standing) -> Response:
        flow, promised = standing.flow, standing.flow.state in _PROMISED
        return JSONResponse(
            SPEECH[plane.dialect].answer(flow, standing.address, self._new_id()),
            status_code=202 if promised else 200,
            headers={"Location": f"/dataflows/{flow.pid}/status"} if promised else None,
            background=BackgroundTask(self._followed, flow.pid),
        )


def _plane(request: Request, *, by_process: bool) -> Any:
    """Return the caller, unless it is at the door of another dialect than the operator configured."""
    plane = request.state.plane
    if SPEECH[plane.dialect].by_process is not by_process:
        raise NotFound(
            f"control plane {plane.id!r} is configured with dialect {plane.dialect!r}, which has other paths"
        )
    return plane
