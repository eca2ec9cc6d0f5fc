import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.sim.trace import NO_CAUSE, Row, Trace

rows = st.builds(
    Row, st.integers(0, 99), st.sampled_from("kK"), st.text(max_size=2), st.just("e"), st.just({}), st.integers(0, 3),
    st.just("ns"),
)  # fmt: skip


@given(st.lists(rows))
def test_what_was_appended_is_read_by_number_in_turn_and_by_column(written: list[Row]) -> None:
    trace = Trace()
    assert [trace.append(*row) for row in written] == list(range(len(written)))
    assert len(trace) == len(written)
    assert list(trace) == written == [trace[i] for i in range(len(trace))]
    for field in Row._fields:
        assert trace.column(field) == [getattr(row, field) for row in written]


def test_there_is_no_row_beyond_the_last() -> None:
    trace = Trace()
    trace.append(1, "Pod", "web-0", "Created", {})
    assert trace[-1] == trace[0]
    with pytest.raises(IndexError):
        trace[1]


def test_what_has_no_cause_of_its_own_is_caused_by_the_fault_that_acts() -> None:
    trace = Trace()
    trace.fault = trace.append(1, "Fault", "node-crash", "Begins", {})
    lost = trace.append(1, "Node", "n1", "Down", {})
    trace.append(2, "Pod", "web-0", "Deleted", {}, lost)
    assert [row.name for row in trace.chain(2)] == ["web-0", "n1", "node-crash"]
    trace.fault = NO_CAUSE
    assert trace[trace.append(3, "Pod", "web-1", "Created", {})].cause == NO_CAUSE


def test_rows_of_some_kinds_come_with_their_numbers() -> None:
    trace = Trace()
    for t, kind in enumerate(("Pod", "Node", "Event", "Pod")):
        trace.append(t, kind, "a", "Created", {})
    rows = list(trace)
    assert list(trace.of_kinds("Pod", "Node")) == [(0, rows[0]), (1, rows[1]), (3, rows[3])]
    assert [row.kind for row in rows] == ["Pod", "Node", "Event", "Pod"]
    assert isinstance(rows[0], Row)
