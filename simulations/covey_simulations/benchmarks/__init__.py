"""Benchmarks: what Covey costs, measured beside what it is held against, in one run.

`covey bench` plays them. A figure is a median of whole calls on this machine; what counts is the ratio.
"""
