"""All rules, in the order in which they are listed and tried."""

from typing import Final

from k8sim.lint.rule import Rule
from k8sim.lint.rules.budgets import BudgetAllowsNothing, BudgetGuardsCrashLoop, NoBudget, SharedBudget
from k8sim.lint.rules.controllers import BarePod
from k8sim.lint.rules.images import RegistryNeeded
from k8sim.lint.rules.placement import OneNode, OneZone, SlowFailover
from k8sim.lint.rules.probes import DependencyKills, KillWaits, NoReadiness, Overload, SlowStart
from k8sim.lint.rules.shutdown import GraceTooShort, HookTakesGrace, NoPreStop
from k8sim.lint.rules.storage import DataInPod, ReclaimDeletes, ScalingDeletes
from k8sim.lint.rules.updates import NoRoomForUpdate, ParallelUpdate, UpdateTakesAll, VolumeHoldsUpdate

RULES: Final[tuple[Rule, ...]] = (
    SlowStart(), DependencyKills(), Overload(), KillWaits(), NoReadiness(),
    GraceTooShort(), HookTakesGrace(), NoPreStop(),
    BudgetAllowsNothing(), NoBudget(), BudgetGuardsCrashLoop(), SharedBudget(),
    BarePod(),
    ParallelUpdate(), UpdateTakesAll(), VolumeHoldsUpdate(), NoRoomForUpdate(),
    RegistryNeeded(),
    OneNode(), OneZone(), SlowFailover(),
    ScalingDeletes(), ReclaimDeletes(), DataInPod(),
)  # fmt: skip
