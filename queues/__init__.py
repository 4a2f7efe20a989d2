"""Durable jobs, leases and groups. Names and paths are opaque here: no astronomy."""
