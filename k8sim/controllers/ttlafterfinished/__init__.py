"""Removal of finished Jobs after ttlSecondsAfterFinished (pkg/controller/ttlafterfinished)."""
