"""A connection to a host that never answers."""

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: nowhere
short_description: never connects
description: Stands for a host that is down.
"""


class Connection(ConnectionBase):
    """Refuses to connect."""

    transport = "nowhere"

    def _connect(self):
        raise AnsibleConnectionFailure("nobody there")

    def exec_command(self, cmd, in_data=None, sudoable=True):
        self._connect()

    def put_file(self, in_path, out_path):
        self._connect()

    def fetch_file(self, in_path, out_path):
        self._connect()

    def close(self):
        pass
