"""What has been written, as a tree of branches: each leader's writes are a branch that grows from what it had.

A copy's content is a prefix of the path to some branch, so it is two numbers, and "which writes do these two have in
common?" is a walk up the tree.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Content(NamedTuple):
    """Everything on the path to a branch, up to an offset (in units of writes since the very first)."""

    branch: int
    offset: int


EMPTY: Final = Content(0, 0)


class History:
    """The branches of one group of copies. Branch 0 is the root; later branches have higher numbers."""

    def __init__(self) -> None:
        self._parents: list[Content] = [EMPTY]

    def fork(self, at: Content) -> int:
        """Begin a new branch where a content ends, and return its number."""
        self._parents.append(self.normal(at))
        return len(self._parents) - 1

    def normal(self, content: Content) -> Content:
        """Return the same content, named after the branch on which its last write was made."""
        while content.branch and content.offset <= self._parents[content.branch].offset:
            content = Content(self._parents[content.branch].branch, content.offset)
        return content

    def common(self, a: Content, b: Content) -> int:
        """Return up to which offset two contents are the same."""
        while a.branch != b.branch:
            if a.branch < b.branch:
                a, b = b, a
            parent = self._parents[a.branch]
            a = Content(parent.branch, min(a.offset, parent.offset))
        return min(a.offset, b.offset)
