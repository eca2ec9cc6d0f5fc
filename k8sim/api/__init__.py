"""Kubernetes API objects as typed, immutable values. Nothing here knows of time, of a store or of a simulator."""

from k8sim.api.meta import Object, ObjectMeta
from k8sim.api.scheme import decode, encode, kind_class, resolve_kind
from k8sim.api.struct import replace

__all__ = ["Object", "ObjectMeta", "decode", "encode", "kind_class", "replace", "resolve_kind"]
