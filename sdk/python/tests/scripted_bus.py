"""A bus whose every answer the test writes, on a real socket: it cuts where the test says."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as ProtoMessage
from google.rpc import error_details_pb2, status_pb2

from agentbus.v1 import admin_service_pb2, agent_service_pb2, bus_service_pb2, error_pb2, message_pb2, room_service_pb2
from agentbus.v1.admin_service_pb2_grpc import AdminServiceServicer, add_AdminServiceServicer_to_server
from agentbus.v1.agent_service_pb2_grpc import AgentServiceServicer, add_AgentServiceServicer_to_server
from agentbus.v1.bus_service_pb2_grpc import BusServiceServicer, add_BusServiceServicer_to_server
from agentbus.v1.room_service_pb2_grpc import RoomServiceServicer, add_RoomServiceServicer_to_server

Request = TypeVar("Request")
Response = TypeVar("Response")
EPOCH: Final = 0xA1


class Refusal(Exception):  # noqa: N818 - what the scripted bus answers, not a failure of the test
    """A status with the details that the real server gives."""

    def __init__(self, code: grpc.StatusCode, reason: str = "", retry: str = "", delay: float | None = None) -> None:
        super().__init__(f"{code.name} {reason}")
        self.code = code
        self.details: list[ProtoMessage] = []
        if reason:
            metadata = {"retry": retry} if retry else {}
            self.details.append(error_details_pb2.ErrorInfo(reason=reason, domain="agentbus", metadata=metadata))
        if delay is not None:
            retry_info = error_details_pb2.RetryInfo()
            retry_info.retry_delay.FromMilliseconds(int(delay * 1000))
            self.details.append(retry_info)

    async def abort(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        packed = []
        for detail in self.details:
            packed.append(AnyMessage())
            packed[-1].Pack(detail)
        status = status_pb2.Status(code=self.code.value[0], message=str(self), details=packed)
        if packed:
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(self.code, str(self))


CUT: Final = Refusal(grpc.StatusCode.UNAVAILABLE)


class Call(Generic[Request, Response]):
    """One stream: the test reads what the client sent and says what it gets."""

    def __init__(self, requests: AsyncIterator[Request], context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self.context = context
        self.written = 0
        self.ended = asyncio.Event()
        self._requests = requests
        self._out: asyncio.Queue[Response | Refusal | None] = asyncio.Queue()

    async def receive(self) -> Request:
        """The next request of the client."""
        return await self._requests.__anext__()

    def send(self, *responses: Response) -> None:
        """Sends, in order."""
        for response in responses:
            self._out.put_nowait(response)

    def cut(self, refusal: Refusal = CUT) -> None:
        """Ends the stream with this status, behind what was sent."""
        self._out.put_nowait(refusal)

    def finish(self) -> None:
        """Ends the stream with OK, as a proxy does when it goes away."""
        self._out.put_nowait(None)

    async def run(self) -> AsyncIterator[Response]:
        try:
            while (item := await self._out.get()) is not None:
                if isinstance(item, Refusal):
                    await item.abort(self.context)
                else:
                    yield item
                    self.written += 1
        finally:
            self.ended.set()


SubscribeCall = Call[bus_service_pb2.SubscribeRequest, bus_service_pb2.SubscribeResponse]
PublishCall = Call[bus_service_pb2.PublishStreamRequest, bus_service_pb2.PublishStreamResponse]
WatchCall = Call[agent_service_pb2.WatchAgentsRequest, agent_service_pb2.WatchAgentsResponse]
Unary = Callable[[Any], Awaitable[Any]]


class ScriptedBus(BusServiceServicer, AgentServiceServicer, RoomServiceServicer, AdminServiceServicer):
    """Streams wait in `subscribes`, `publishes` and `watches` until the test takes them; unary calls go to `unary`."""

    def __init__(self) -> None:
        self.subscribes: asyncio.Queue[SubscribeCall] = asyncio.Queue()
        self.publishes: asyncio.Queue[PublishCall] = asyncio.Queue()
        self.watches: asyncio.Queue[WatchCall] = asyncio.Queue()
        self.unary: dict[str, Unary] = {}
        self.metadata: list[dict[str, str | bytes]] = []
        self.port = 0
        self._server: grpc.aio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        # Made here: it belongs to the loop that it is made in.
        self._server = grpc.aio.server()
        add_BusServiceServicer_to_server(self, self._server)
        add_AgentServiceServicer_to_server(self, self._server)
        add_RoomServiceServicer_to_server(self, self._server)
        add_AdminServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()

    async def stop(self) -> None:
        if self._server is None:
            return
        await self._server.stop(None)
        # Its finalizer schedules work on the loop, which must be there still.
        self._server = None
        gc.collect()
        await asyncio.sleep(0)

    async def Subscribe(  # noqa: N802 - the contract's name
        self, request: bus_service_pb2.SubscribeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[bus_service_pb2.SubscribeResponse]:
        self._note(context)
        call: SubscribeCall = Call(_once(request), context)
        self.subscribes.put_nowait(call)
        async for response in call.run():
            yield response

    async def PublishStream(  # noqa: N802
        self,
        request: AsyncIterator[bus_service_pb2.PublishStreamRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[bus_service_pb2.PublishStreamResponse]:
        self._note(context)
        call: PublishCall = Call(request, context)
        self.publishes.put_nowait(call)
        async for response in call.run():
            yield response

    async def Fetch(self, request: Any, context: Any) -> bus_service_pb2.FetchResponse:  # noqa: N802
        return await self._answer("Fetch", request, context)  # type: ignore[no-any-return]

    async def Ping(self, request: Any, context: Any) -> admin_service_pb2.PingResponse:  # noqa: N802
        return await self._answer("Ping", request, context)  # type: ignore[no-any-return]

    async def RegisterAgent(self, request: Any, context: Any) -> agent_service_pb2.RegisterAgentResponse:  # noqa: N802
        return await self._answer("RegisterAgent", request, context)  # type: ignore[no-any-return]

    async def JoinChannel(self, request: Any, context: Any) -> room_service_pb2.JoinChannelResponse:  # noqa: N802
        return await self._answer("JoinChannel", request, context)  # type: ignore[no-any-return]

    async def DeleteRoom(self, request: Any, context: Any) -> room_service_pb2.DeleteRoomResponse:  # noqa: N802
        return await self._answer("DeleteRoom", request, context)  # type: ignore[no-any-return]

    async def WatchAgents(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self._note(context)
        call: WatchCall = Call(_once(request), context)
        self.watches.put_nowait(call)
        async for response in call.run():
            yield response

    async def _answer(self, name: str, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        self._note(context)
        try:
            return await self.unary[name](request)
        except Refusal as refusal:
            await refusal.abort(context)

    def _note(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self.metadata.append(dict(context.invocation_metadata() or ()))


def position(sequence: int, channel: str = "science:explore", epoch: int = EPOCH) -> str:
    return f"{channel}@{epoch:08x}.{sequence}"


def message(sequence: int, text: str = "", channel: str = "science:explore", **fields: Any) -> message_pb2.Message:
    """A message as the server delivers it."""
    room, _, name = channel.partition(":")
    given = {"id": f"id-{sequence}", "sender": "bob", "text": text or f"m{sequence}", "epoch": EPOCH, **fields}
    return message_pb2.Message(room=room, channel=name, sequence=sequence, **given)


def delivery(*sequences: int, channel: str = "science:explore") -> bus_service_pb2.SubscribeResponse:
    """A response with these messages of one channel."""
    return bus_service_pb2.SubscribeResponse(
        messages=[message(sequence, channel=channel) for sequence in sequences],
        positions=[position(sequences[-1], channel)],
    )


def opened(*positions: str, seconds: float = 15) -> bus_service_pb2.SubscribeResponse:
    """A first response."""
    response = bus_service_pb2.SubscribeResponse(positions=positions)
    response.opened.node_id = "node-1"
    response.opened.agent_id = "alice"
    response.opened.heartbeat_interval.FromMilliseconds(int(seconds * 1000))
    response.server_time.GetCurrentTime()
    return response


def stored(request: bus_service_pb2.PublishStreamRequest, first: int) -> bus_service_pb2.PublishStreamResponse:
    """All stored, from this sequence on."""
    response = bus_service_pb2.PublishStreamResponse(request_id=request.request_id)
    for offset, each in enumerate(request.publish.messages):
        response.published.results.add(id=each.id, position=position(first + offset))
    return response


def refused(
    request: bus_service_pb2.PublishStreamRequest, code: int, reason: str, **metadata: str
) -> bus_service_pb2.PublishStreamResponse:
    """Nothing stored."""
    error = error_pb2.Error(code=code, reason=reason, message=f"refused: {reason}", metadata=metadata)
    return bus_service_pb2.PublishStreamResponse(request_id=request.request_id, error=error)


async def _once(request: Request) -> AsyncIterator[Request]:
    yield request
