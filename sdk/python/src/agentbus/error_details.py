"""Reads what the server says of a failure: `google.rpc` details of a call, `agentbus.v1.Error` within a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from .errors import BusError, FieldViolation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc.aio

    from .reasons import Retry
    from .v1.error_pb2 import Error

DOMAIN = "agentbus"
_CODE_NAMES: Mapping[int, str] = {status.value[0]: status.name for status in grpc.StatusCode}
_DETAILS_KEY = "grpc-status-details-bin"


def from_rpc_error(error: grpc.aio.AioRpcError) -> BusError:
    """Translates the failure of a call."""
    message = error.details() or "the connection to the server was lost"
    code = error.code().name
    reason = ""
    retry_delay: float | None = None
    metadata: Mapping[str, str] = {}
    violations: list[FieldViolation] = []
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.domain == DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            info_retry = error_details_pb2.RetryInfo()
            detail.Unpack(info_retry)
            retry_delay = info_retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations.extend(FieldViolation(v.field, v.description) for v in bad.field_violations)
    if code == "DEADLINE_EXCEEDED" and not reason:
        reason = "DEADLINE"
    return _bus_error(message, code, reason, retry_delay, metadata, violations)


def from_error(error: Error) -> BusError:
    """Translates the failure of one item of a stream."""
    code = _CODE_NAMES.get(error.code, "UNKNOWN")
    delay = error.retry_delay.ToTimedelta().total_seconds() if error.HasField("retry_delay") else None
    violations = [FieldViolation(v.field, v.description) for v in error.field_violations]
    return _bus_error(error.message, code, error.reason, delay, dict(error.metadata), violations)


def _bus_error(
    message: str,
    code: str,
    reason: str,
    retry_delay: float | None,
    metadata: Mapping[str, str],
    violations: list[FieldViolation],
) -> BusError:
    # What the server says wins over the table here: a newer server may have reasons that this version does not know.
    told = metadata.get("retry")
    retry = cast("Retry", told) if told in ("SAME", "RECONNECT", "NEVER") else None
    index = metadata.get("index", "")
    return BusError(
        message,
        reason=reason,
        code=code,
        retry=retry,
        retry_delay=retry_delay,
        index=int(index) if index.isdecimal() else None,
        metadata=metadata,
        violations=violations,
    )


def _details(error: grpc.aio.AioRpcError) -> list[Any]:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []
