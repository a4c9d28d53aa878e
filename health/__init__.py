"""Health checks: is this instance alive, and is it ready to work?"""
