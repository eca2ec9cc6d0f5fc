"""The discovery group: EndpointSlice."""

from __future__ import annotations

from typing import ClassVar

from k8sim.api.core import ObjectReference
from k8sim.api.meta import Object
from k8sim.api.struct import Struct


class EndpointConditions(Struct, frozen=True):
    """State of an endpoint: ready = publishNotReadyAddresses or (serving and not terminating)."""

    ready: bool = False
    serving: bool = False
    terminating: bool = False


class Endpoint(Struct, frozen=True):
    """One pod behind a service."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    target_ref: ObjectReference | None = None
    node_name: str = ""
    zone: str = ""


class EndpointPort(Struct, frozen=True):
    """A port of the endpoints."""

    name: str = ""
    port: int | None = None
    protocol: str = "TCP"


class EndpointSlice(Object, frozen=True):
    """Up to 100 endpoints of a service."""

    api_version: ClassVar[str] = "discovery.k8s.io/v1"
    kind: ClassVar[str] = "EndpointSlice"
    plural: ClassVar[str] = "endpointslices"

    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()
