"""Contexts of CRDS in the service: refreshed by the clock, compared, approved, rolled back."""
