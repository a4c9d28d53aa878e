"""HTTP for every blueprint: reads requests, builds responses and pages, and answers errors."""
