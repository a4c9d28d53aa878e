"""Messages between the Functions host and Microsoft's worker library: objects of the protobuf messages' shape.

The library takes any module with these names (azure-functions-host's FunctionRpc.proto has the originals). Only what
HTTP, timer and queue functions need is here.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar


class TypedData:
    """A value: `http`, `string`, `bytes` or `json`; the oneof is which of them was given."""

    def __init__(self, **value: Any) -> None:
        ((self._kind, content),) = value.items()
        setattr(self, self._kind, content)

    def WhichOneof(self, _name: str) -> str:  # noqa: N802 - protobuf's name
        """The field that is set."""
        return self._kind


class ParameterBinding:
    """A named input."""

    def __init__(self, name: str, data: TypedData) -> None:
        self.name = name
        self.data = data

    def WhichOneof(self, _name: str) -> str:  # noqa: N802 - protobuf's name
        """No shared memory here."""
        return "data"


@dataclass
class RpcHttp:
    """A request or a response."""

    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: TypedData | None = None
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    status_code: str = ""
    cookies: list[Any] | None = None
    enable_content_negotiation: bool = False


@dataclass
class Nullable:
    """NullableString, NullableBool, NullableDouble, NullableTimestamp."""

    value: Any


@dataclass
class RpcHttpCookie:
    """One Set-Cookie."""

    SameSite: ClassVar[Any] = SimpleNamespace(**{"None": "", "Lax": "lax", "Strict": "strict", "ExplicitNone": "none"})

    name: str
    value: str
    domain: Nullable | None = None
    path: Nullable | None = None
    expires: Nullable | None = None
    secure: Nullable | None = None
    http_only: Nullable | None = None
    same_site: str = ""
    max_age: Nullable | None = None


@dataclass
class BindingInfo:
    """A binding, with protobuf's enums."""

    undefined: ClassVar[int] = 0
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2

    type: str
    data_type: int | None
    direction: int


@dataclass
class StatusResult:
    """How an invocation ended."""

    Failure: ClassVar[str] = "failure"
    Success: ClassVar[str] = "success"

    status: str
    exception: Any = None


NullableString = NullableBool = NullableDouble = NullableTimestamp = Nullable
# These are only looked at by name.
Timestamp = RpcException = RpcFunctionMetadata = RpcRetryOptions = SimpleNamespace
WorkerInitResponse = WorkerMetadata = FunctionMetadataResponse = SimpleNamespace
FunctionLoadResponse = InvocationResponse = SimpleNamespace
