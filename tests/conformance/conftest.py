"""The plugins are for Ansible, which may not be installed."""

collect_ignore = ["plugins"]
