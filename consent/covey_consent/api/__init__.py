"""The HTTP API: thin routes over the services, one module for each noun."""
