"""A read-only web page beside the service, in a process of its own; see docs/web.md.

app.py has the routes, pages.py what they show, guard.py who may look. The service never
imports any of it.
"""
