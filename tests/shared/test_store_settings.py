"""Which storage the settings may name."""

import pytest

from shared.errors import SettingsError
from shared.settings import load
from tests.shared.good_settings import GOOD

KEY = "s3cret=="
COSMOS = [
    ("TABLES_ENDPOINT", "https://contoso.table.cosmos.azure.com"),
    ("TABLES_ENDPOINT", "https://contoso.table.cosmos.azure.com:443/"),
    ("TABLES_ENDPOINT", "https://Contoso.Table.CosmosDB.azure.com"),
    ("TABLES_ENDPOINT", "https://contoso.table.cosmos.azure.us"),
    ("TABLES_ENDPOINT", "https://contoso.documents.azure.com:443"),
    ("AzureWebJobsStorage__tableServiceUri", "https://contoso.table.cosmosdb.azure.com:443"),
    *(
        (name, f"DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey={KEY};{rest}")
        for name in ("TABLES_CONNECTION_STRING", "AzureWebJobsStorage")
        for rest in (
            "TableEndpoint=https://contoso.table.cosmos.azure.com:443/;",
            " tableendpoint = https://CONTOSO.table.cosmosdb.azure.com:443/".replace(" = ", "="),
            "EndpointSuffix=cosmos.azure.com",
            "TableEndpoint=contoso.table.cosmos.azure.com",
            "TableEndpoint=contoso.table.cosmos.azure.com:443/",
            "TableSecondaryEndpoint=https://contoso-secondary.table.cosmos.azure.com",
            "AccountEndpoint=https://contoso.documents.azure.com:443/",
            "AccountEndpoint=https://contoso.documents.azure.cn:443/",
        )
    ),
]


@pytest.mark.parametrize(("name", "value"), COSMOS)
def test_cosmos_db_is_refused_at_start(name: str, value: str) -> None:
    """By the setting's name, without its value."""
    with pytest.raises(SettingsError) as refused:
        load(GOOD | {name: value})
    (problem,) = refused.value.problems
    assert problem.startswith(f"{name}: ")
    assert "Cosmos DB" in problem
    assert KEY not in problem


@pytest.mark.parametrize("value", ["contoso.table.cosmos.azure.com", "Contoso", "co", "c" * 25])
def test_the_name_of_a_storage_account_is_a_name(value: str) -> None:
    """And not a host."""
    with pytest.raises(SettingsError) as refused:
        load(GOOD | {"AzureWebJobsStorage__accountName": value})
    (problem,) = refused.value.problems
    assert problem.startswith("AzureWebJobsStorage__accountName: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AzureWebJobsStorage__accountName", "contoso1"),
        ("TABLES_ENDPOINT", "https://cosmos.table.core.windows.net"),
        ("TABLES_ENDPOINT", "http://127.0.0.1:10002/devstoreaccount1"),
        ("AzureWebJobsStorage__tableServiceUri", "https://contoso.table.core.usgovcloudapi.net"),
        ("TABLES_CONNECTION_STRING", "UseDevelopmentStorage=true"),
        (
            "TABLES_CONNECTION_STRING",
            "TableEndpoint=https://cosmosdb.z01.table.storage.azure.net/;AccountName=cosmosdb",
        ),
    ],
)
def test_storage_accounts_are_taken(name: str, value: str) -> None:
    """In every cloud, and the emulator."""
    assert load(GOOD | {name: value})
