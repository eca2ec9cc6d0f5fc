"""Ready-made rules, named after a behaviour, with the defaults of software that behaves so and where they come from.

They are starting points: every parameter can be set beside them. Where a product gives only a time-out, the delay is
spread over what its loop adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from k8sim.sim.distributions import Constant, Uniform
from k8sim.sim.units import MILLISECOND, SECOND
from k8sim.workload.amounts import UNIT
from k8sim.workload.rules import Rules

SPREAD_OUT: Final = -1
"""As many shards as members."""


@dataclass(frozen=True)
class Preset:
    """A behaviour. ``shards`` `SPREAD_OUT`: one for each member; ``copies`` None: on all members."""

    rules: Rules
    meaning: str
    source: str
    shards: int = 1
    copies: int | None = None


MEBI: Final = 2**20

PRESETS: Final[Mapping[str, Preset]] = {
    "raft": Preset(
        Rules(
            acks="majority",
            election="majority",
            election_delay=Uniform(1 * SECOND, 2 * SECOND),
            handover=Constant(100 * MILLISECOND),
            bandwidth=100 * MEBI,
            retained=5000 * UNIT,
            dataset_bytes=256 * MEBI,
        ),
        "a majority has every write on disk; elections among a majority (etcd, Consul, CockroachDB ranges)",
        "etcd: election-timeout 1000 ms, randomised up to twice that; 5000 entries kept for slow followers "
        "(DefaultSnapshotCatchUpEntries); leadership is transferred at a clean stop. Data size and bandwidth assumed",
    ),
    "zookeeper": Preset(
        Rules(
            acks="majority",
            election="majority",
            election_delay=Uniform(200 * MILLISECOND, 2200 * MILLISECOND),
            empty_votes=True,
            bandwidth=100 * MEBI,
            retained=500 * UNIT,
            dataset_bytes=64 * MEBI,
        ),
        "as raft, but a member that has lost its data directory votes: an empty majority forgets everything",
        "ZooKeeper: finalizeWait 200 ms, then up to one tickTime (2 s) until learners follow; commitLogCount 500; "
        "administrator's guide, 'Supervision' and 'Data file management'. Data size and bandwidth assumed",
    ),
    "primary-replica": Preset(
        Rules(
            acks=1,
            election="any",
            election_delay=Uniform(20 * SECOND, 30 * SECOND),
            handover=Constant(2 * SECOND),
            keeps_role=True,
            isolated="steps-down",
            lag_ns=100 * MILLISECOND,
            bandwidth=50 * MEBI,
            dataset_bytes=1024 * MEBI,
            reads="any",
        ),
        "asynchronous replicas behind one primary, failover by a lease that runs out (PostgreSQL with Patroni)",
        "Patroni: ttl 30 s, renewed every loop_wait 10 s, so 20 to 30 s after the last renewal; pg_rewind; a "
        "primary that cannot renew its lease demotes itself. "
        "Lag, data size and bandwidth assumed",
    ),
    "sentinel": Preset(
        Rules(
            acks=1,
            election="any",
            election_delay=Uniform(30 * SECOND, 31 * SECOND),
            keeps_role=True,
            empty_votes=True,
            lag_ns=100 * MILLISECOND,
            sync_ns=1 * SECOND,
            bandwidth=100 * MEBI,
            dataset_bytes=256 * MEBI,
            rewind=False,
            reads="any",
        ),
        "asynchronous replicas; the primary keeps its role if it is back before the failover, empty or not (Redis)",
        "Redis Sentinel: down-after-milliseconds 30000; appendfsync everysec; a replica that differs is copied in "
        "full; min-replicas-to-write 0, so a primary that is cut off goes on. Lag, data size and bandwidth assumed",
    ),
    "semi-synchronous": Preset(
        Rules(
            acks=2,
            election="any",
            election_delay=Uniform(10 * SECOND, 20 * SECOND),
            lag_ns=100 * MILLISECOND,
            bandwidth=50 * MEBI,
            dataset_bytes=1024 * MEBI,
            reads="any",
        ),
        "one replica beside the primary has every write (MySQL semi-synchronous replication without time-out)",
        "MySQL: rpl_semi_sync_source_wait_for_replica_count 1. Failover time, lag, data size and bandwidth assumed",
    ),
    "kafka": Preset(
        Rules(
            acks="all",
            min_in_sync=2,
            election="in-sync",
            election_delay=Uniform(100 * MILLISECOND, 600 * MILLISECOND),
            handover=Constant(0),
            detect_ns=9 * SECOND,
            sync_ns=30 * SECOND,
            bandwidth=50 * MEBI,
            dataset_bytes=0,
        ),
        "all copies in sync have every write, in memory; at least two of them; leaders only from among these",
        "Kafka: acks=all, min.insync.replicas 2, broker.session.timeout.ms 9000, no fsync (the kernel writes back), "
        "unclean.leader.election.enable false, controlled shutdown. Election time and bandwidth assumed",
        copies=3,
    ),
    "single": Preset(
        Rules(acks=1, election="any", empty_votes=True),
        "one instance with its own data; it starts empty where its data is gone",
        "by definition",
    ),
    "shards": Preset(
        Rules(acks=1, election="any", empty_votes=True),
        "each member has a part of the data for itself: shared nothing",
        "by definition",
        shards=SPREAD_OUT,
        copies=1,
    ),
    "cache": Preset(
        Rules(acks=1, election="any", empty_votes=True, sync_ns=30 * SECOND),
        "each member has a part; it is meant to be lost (emptyDir): the losses say how cold it gets",
        "by definition",
        shards=SPREAD_OUT,
        copies=1,
    ),
    "mirror": Preset(
        Rules(acks="all", min_in_sync=1, election="in-sync", copy_time=Constant(0), empty_votes=False),
        "n copies, each write on all that are in sync, lost copies are made anew: the model of storage textbooks",
        "Gibson 1990; Greenan, Plank, Wylie, HotStorage'10",
    ),
}
