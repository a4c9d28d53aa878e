"""Settings with which the app starts."""

from shared.sealing import new_key

GOOD = {
    "CLIENT_ID": "11111111-2222-3333-4444-555555555555",
    "CLIENT_SECRET": "s3cret-value",
    "AUTHORITY": "https://login.microsoftonline.com/contoso.example",
    "BASE_URL": "https://contoso.azurewebsites.net/",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "ENCRYPTION_KEYS": new_key("k1"),
}
