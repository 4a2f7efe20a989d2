"""Jobs on the hosts of a Dask cluster, for a service that one machine is too small for.

The queue stays the only truth: nothing that the cluster remembers matters, and whatever it loses, a host,
its scheduler, an answer, is a job that goes back to the queue by no fault of its own. The service itself
chooses the host of each job; Dask carries orders and answers. Products are written to the folder of the
attempt, on a file system that all machines share, and published by the service alone.
"""
