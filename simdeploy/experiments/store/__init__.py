"""The store: a folder of finished work that survives crashes and can be read without simdeploy.

Other packages use the names below; analyses that store other work also use `durable` and `lock`, and
documents `manifest`.
"""

from simdeploy.experiments.store.durable import StoreError
from simdeploy.experiments.store.folder import place_within
from simdeploy.experiments.store.reader import StoredTable, read_store
from simdeploy.experiments.store.writer import Store

__all__ = ["Store", "StoreError", "StoredTable", "place_within", "read_store"]
