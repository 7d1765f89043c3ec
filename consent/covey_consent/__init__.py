"""The consent registry: purposes, notices, decisions, tickets, rounds and the transparency log, over HTTP.

The services (`decisions`, `tickets`, `transparency`, `rights`, ...) are functions over a database session;
`api` maps them to HTTP; `registry` puts one together from settings and a clock.
"""
