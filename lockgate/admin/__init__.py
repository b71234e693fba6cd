"""The management API: who may do what over HTTP, on a port of its own. The only part that knows FastAPI.

Nothing is imported here, so that a proxy without it starts without FastAPI. What is done is done by the services that
the command line uses too; what is here asks who wants it, and notes that they did.
"""
