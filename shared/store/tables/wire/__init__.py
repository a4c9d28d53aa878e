"""Reads and writes the Table service's JSON and multipart bodies. This door is all that the store uses of it.

The Tables SDK has the same operations, `TableClient.submit_transaction`, `query_entities` and `get_entity`. Its
transaction makes an e-mail message of each row and parses it again: half a millisecond of CPU per row, most of what a
sweep cost (docs/performance.md). This package takes a tenth. Connections, signing, retries and errors are still the
SDK's. A value that the SDK can't decode fails a whole page; here it stays a text.

To give it back to the SDK: let a `Part` be the operation itself, call those methods here, and delete the other
files of this folder.

    encode(table, operation)  one row's part of a transaction; its length counts towards the service's limit
    submit(table, parts)      one transaction, all or nothing
    pages(table, filter, …)   the rows that a filter lets through, page by page
    first_rows(table, …)      the first page of them that is not empty
    read_page(table, …)       one page of them, and where the next one begins
    read_row(table, keys)     one row by its keys
    decoded(row)              one of those rows with Python's types
"""

from shared.store.tables.wire.pages import Place, Row, decoded, first_rows, pages, read_page, read_row
from shared.store.tables.wire.transaction import Operation, Part, encode, submit

__all__ = [
    "Operation",
    "Part",
    "Place",
    "Row",
    "decoded",
    "encode",
    "first_rows",
    "pages",
    "read_page",
    "read_row",
    "submit",
]
