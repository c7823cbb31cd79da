"""Write what Ansible does to hosts as lines of JSON, into the file that BATCHES_FILE names."""

import json
import os
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: batches
type: stdout
short_description: batches of hosts and what became of each
description: One line for each batch, each result of a task on a host, the end of a play without hosts, and each host that failed.
"""


class CallbackModule(CallbackBase):
    """Every event is one line: what, and to which host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "batches"

    def _write(self, event, host=None):
        with Path(os.environ["BATCHES_FILE"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event} if host is None else {"event": event, "host": host}) + "\n")

    def _result(self, result):
        host = getattr(result, "host", None) or result._host
        self._write("host", host.get_name())

    def v2_playbook_on_play_start(self, play):
        self._write("batch")

    def v2_playbook_on_no_hosts_remaining(self):
        self._write("stopped")

    def v2_runner_on_ok(self, result):
        self._result(result)

    def v2_runner_on_skipped(self, result):
        self._result(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result(result)

    def v2_runner_on_unreachable(self, result):
        self._result(result)

    def v2_playbook_on_stats(self, stats):
        for host in sorted(stats.processed):
            summary = stats.summarize(host)
            for key in ("failures", "unreachable"):
                if summary[key]:
                    self._write(key, host)
