"""HTTP in and out, for every blueprint: requests, responses, pages, errors as answers."""
