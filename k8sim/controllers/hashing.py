"""Hashes that end up in names: FNV, and an encoding without vowels (apimachinery/pkg/util/rand)."""

from __future__ import annotations

from functools import lru_cache

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


@lru_cache(maxsize=1024)  # the replicates of a scenario have the same templates
def fnv1_32(data: bytes) -> int:
    """Return the 32-bit FNV-1 hash (Go's hash/fnv New32)."""
    h = 0x811C9DC5
    for byte in data:
        h = (h * 0x01000193) & 0xFFFFFFFF ^ byte
    return h


@lru_cache(maxsize=1024)
def fnv1a_32(data: bytes) -> int:
    """Return the 32-bit FNV-1a hash (Go's hash/fnv New32a)."""
    h = 0x811C9DC5
    for byte in data:
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def safe_encode_string(text: str) -> str:
    """Map every character into an alphabet without vowels (apimachinery/pkg/util/rand SafeEncodeString)."""
    return "".join(_ALPHABET[ord(c) % len(_ALPHABET)] for c in text)
