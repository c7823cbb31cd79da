from .reading import as_records as as_records, read_records as read_records
from .table import Records as Records, make_table as make_table
