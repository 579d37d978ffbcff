"""Answer the requests of clients with proven models, over HTTP, in one process or on Ray Serve."""
