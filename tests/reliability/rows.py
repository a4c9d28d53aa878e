"""The fault matrix as a whole: faults of the tenant's tokens, of the storage and of Graph, in the document's order."""

from tests.reliability import graph_rows, storage_rows, token_rows

ROWS = (*token_rows.ROWS, *storage_rows.ROWS, *graph_rows.ROWS)
