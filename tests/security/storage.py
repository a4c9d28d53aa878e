"""The content of the storage account, as a thief or an auditor would read it."""

from typing import Any

from azure.data.tables import TableClient, TableServiceClient

Dump = dict[str, dict[tuple[str, str], str]]


def etags(service: TableServiceClient) -> Dump:
    """Every row's ETag, by table and key: equal dumps mean that nothing was written in between."""
    found: Dump = {}
    for table in service.list_tables():
        rows = service.get_table_client(table.name).list_entities()
        found[table.name] = {(row["PartitionKey"], row["RowKey"]): str(row.metadata["etag"]) for row in rows}
    return found


def stolen(service: TableServiceClient) -> bytes:
    """Every byte of every table, one after the other."""
    pieces: list[bytes] = []
    for table in service.list_tables():
        for row in service.get_table_client(table.name).list_entities():
            for name, value in row.items():
                pieces.append(name.encode() + b"=" + (value if isinstance(value, bytes) else str(value).encode()))
    return b"\n".join(pieces)


def rows(table: TableClient) -> list[dict[str, Any]]:
    """The rows of a table, as they can be written back."""
    return [dict(row) for row in table.list_entities()]


def cache_of(row: dict[str, Any]) -> dict[str, Any]:
    """The properties that hold a row's token cache."""
    return {name: value for name, value in row.items() if name.startswith("Cache")}
