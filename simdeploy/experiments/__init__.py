"""Many replications of one scenario under several policies, and the table that comes out."""

from simdeploy.experiments.replication import replicate

__all__ = ["replicate"]
