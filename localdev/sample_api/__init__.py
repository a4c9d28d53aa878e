"""A sample API of somebody else: it takes tokens of the sample tenant for itself and keeps what is pushed to it.

items keeps, endpoint serves. The app under test gets its address and scopes from `SampleTenant`.
"""
