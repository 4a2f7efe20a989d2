"""The service: folders, routing, workers, schedule, records and its faces."""
