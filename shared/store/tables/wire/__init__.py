"""Reads and writes the Table service's JSON and multipart bodies. This door is all that the store uses of it.

The Tables SDK has the same two operations, `TableClient.submit_transaction` and `query_entities`. Its transaction makes
an e-mail message of each row and parses it again: half a millisecond of CPU per row, most of what a sweep cost
(docs/performance.md). This package takes a tenth. Connections, signing, retries and errors are still the SDK's.

To give it back to the SDK: let a `Part` be the operation itself, call those two methods here, and delete the other
files of this folder.

    encode(table, operation)  one row's part of a transaction; its length counts towards the service's limit
    submit(table, parts)      one transaction, all or nothing
    pages(table, filter, …)   the rows that a filter lets through, page by page
    first_rows(table, …)      the first page of them that is not empty
    decoded(row)              one of those rows with Python's types
"""

from shared.store.tables.wire.pages import Row, decoded, first_rows, pages
from shared.store.tables.wire.transaction import Operation, Part, encode, submit

__all__ = ["Operation", "Part", "Row", "decoded", "encode", "first_rows", "pages", "submit"]
