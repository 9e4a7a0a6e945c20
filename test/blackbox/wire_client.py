"""A client of Python's grpcio and generated stubs alone: prints one JSON object of what it saw."""

from __future__ import annotations

import json
import queue
import sys

import grpc
from agentbus.v1 import bus_service_pb2 as bus
from agentbus.v1 import bus_service_pb2_grpc as bus_grpc
from agentbus.v1 import message_pb2 as message
from google.rpc import error_details_pb2, status_pb2

DEADLINE_SECONDS = 20


def reason_of(error: grpc.RpcError) -> dict[str, str]:
    """The details in the trailers, as any gRPC client finds them."""
    packed = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    status = status_pb2.Status.FromString(packed)
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return {"code": error.code().name, "reason": info.reason, "domain": info.domain, **info.metadata}
    return {"code": error.code().name, "reason": ""}


def publish(stub: bus_grpc.BusServiceStub, *texts: str) -> bus.PublishResponse:
    messages = [message.Message(text=text) for text in texts]
    request = bus.PublishRequest(agent_id="python", room="py", channel="talk", messages=messages)
    return stub.Publish(request, timeout=DEADLINE_SECONDS)


def stream(stub: bus_grpc.BusServiceStub) -> list[str]:
    request = bus.SubscribeRequest(agent_id="reader", channels=["py:talk"], earliest=True)
    seen: list[str] = []
    call = stub.Subscribe(request, timeout=DEADLINE_SECONDS)
    for response in call:
        seen += [item.text for item in response.messages]
        if response.caught_up:
            call.cancel()
            break
    return seen


def cancel(stub: bus_grpc.BusServiceStub) -> str:
    """A stream that is taken back while it waits."""
    call = stub.Subscribe(bus.SubscribeRequest(agent_id="reader", channels=["py:quiet"]))
    next(iter(call))
    call.cancel()
    try:
        next(iter(call))
    except grpc.RpcError as error:
        return error.code().name
    return "went on"


def line(stub: bus_grpc.BusServiceStub) -> list[str]:
    """One full-duplex line in lockstep: what it publishes comes back by its own subscription."""
    requests: queue.SimpleQueue[bus.ConnectRequest | None] = queue.SimpleQueue()
    responses = stub.Connect(iter(requests.get, None), timeout=DEADLINE_SECONDS)
    seen: list[str] = []
    requests.put(bus.ConnectRequest(request_id=1, hello=bus.Hello(agent_id="liner")))
    seen.append(next(responses).WhichOneof("response"))
    subscribe = bus.SubscribeRequest(channels=["py:line"], echo=True)
    requests.put(bus.ConnectRequest(request_id=2, subscribe=subscribe))
    seen.append(next(responses).WhichOneof("response"))
    for number in range(3):
        batch = bus.PublishRequest(room="py", channel="line", messages=[message.Message(text=str(number))])
        requests.put(bus.ConnectRequest(request_id=10 + number, publish=batch))
        answers = {response.WhichOneof("response"): response for response in (next(responses), next(responses))}
        seen.append(f"{answers['published'].request_id} {answers['delivery'].delivery.messages[0].text}")
    requests.put(None)
    seen += [response.WhichOneof("response") for response in responses]
    return seen


def publish_stream(stub: bus_grpc.BusServiceStub) -> list[str]:
    def requests():
        for number in range(1, 51):
            batch = bus.PublishRequest(
                agent_id="python", room="py", channel="bulk", messages=[message.Message(text=str(number))]
            )
            yield bus.PublishStreamRequest(request_id=number, publish=batch)

    answers = stub.PublishStream(requests(), timeout=DEADLINE_SECONDS)
    return [f"{answer.request_id} {answer.published.results[0].position.rpartition('.')[2]}" for answer in answers]


def refused(stub: bus_grpc.BusServiceStub) -> dict[str, dict[str, str]]:
    def failing(call) -> dict[str, str]:
        try:
            result = call()
            if hasattr(result, "__iter__"):
                list(result)
        except grpc.RpcError as error:
            return reason_of(error)
        return {"reason": "went well"}

    bad = bus.PublishRequest(agent_id="python", room="a b", channel="c", messages=[message.Message()])
    patterns = bus.SubscribeRequest(agent_id="reader", patterns=["*"])
    waiting = bus.FetchRequest(agent_id="reader", room="py", channel="quiet")
    waiting.wait_duration.FromSeconds(60)
    inbox = bus.FetchRequest(agent_id="reader", room="_inbox", channel="python")
    return {
        "unary": failing(lambda: stub.Publish(bad, timeout=DEADLINE_SECONDS)),
        "stream": failing(lambda: stub.Subscribe(patterns, timeout=DEADLINE_SECONDS)),
        "inbox": failing(lambda: stub.Fetch(inbox, timeout=DEADLINE_SECONDS)),
        "deadline": {"code": failing(lambda: stub.Fetch(waiting, timeout=0.2))["code"]},
    }


def main(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = bus_grpc.BusServiceStub(channel)
        published = publish(stub, "one", "two — ü")
        result = {
            "durability": published.durability,
            "positions": [item.position.partition("@")[0] for item in published.results],
            "stream": stream(stub),
            "cancel": cancel(stub),
            "line": line(stub),
            "bulk": publish_stream(stub),
            "refused": refused(stub),
        }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
