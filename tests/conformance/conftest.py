"""The plugins are for Ansible, which may not be installed."""

from __future__ import annotations

collect_ignore = ["plugins"]
