"""A road to the table service that notes what was done in which table, and how many rows the service had to look at."""

import re
from urllib.parse import parse_qs, urlsplit

from azure.data.tables import TableServiceClient

from tests.reliability.storage_proxy import Answer, Request, StorageProxy

_BY_KEY = re.compile(r"(PartitionKey|RowKey) (eq|ge|le|gt|lt) '[^']*'")


class TableRecorder(StorageProxy):
    """Notes each request until `forget`.

    Attributes:
        log: method and table, in order; a transaction is a POST to the table that it writes to.
        rows: those that the service looked at, by table. It finds rows by their keys alone ("Design for querying",
            Microsoft Learn): a condition on another property is tried on every row between.
    """

    def __init__(self, connection_string: str, tables: TableServiceClient) -> None:
        super().__init__(connection_string)
        self._tables = tables
        self.log: list[str] = []
        self.rows: dict[str, int] = {}

    def forget(self) -> None:
        """Begins anew."""
        self.log.clear()
        self.rows.clear()

    def shaped(self, request: Request, answer: Answer) -> Answer:
        """Notes the request; leaves the answer as it is."""
        name = request.path.strip("/").partition("(")[0]
        if name == "$batch":
            found = re.search(rb"^(?:POST|PUT|PATCH|DELETE) \S*?devstoreaccount1/(\w+)", request.body, re.MULTILINE)
            name = found[1].decode() if found else name
        self.log.append(f"{request.method} {name}")
        if request.method == "GET" and answer.status == 200:
            self.rows[name] = self.rows.get(name, 0) + self._looked_at(name, request)
        return answer

    def _looked_at(self, table: str, request: Request) -> int:
        query = parse_qs(urlsplit(request.target).query)
        if "$filter" not in query:
            return 1
        conditions = query["$filter"][0].split(" and ")
        by_key = [each for each in conditions if _BY_KEY.fullmatch(each)]
        rows = self._tables.get_table_client(table).query_entities(" and ".join(by_key), select="RowKey")
        count = sum(1 for _ in rows)
        top = int(query["$top"][0]) if "$top" in query and by_key == conditions else count
        return min(count, top)
