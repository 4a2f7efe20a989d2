"""What would another context change?"""

from calwebbd.daemon.ask.reader import Answer, Reader


class WhatIf(Reader):
    def whatif(self, context: str) -> Answer:
        """What would be made again in a context, and by which references; nothing is changed.

        Raises ReferenceMissing if its rules are not in the CRDS cache, which CRDS_PATH names.
        """
        from calwebbd.daemon.contexts.impact import impact  # heavy: it imports the pipelines

        found = impact(self._connection, context)
        first = [
            {
                "product": each.product,
                "instrument": each.instrument,
                "stage": each.stage,
                "pipeline": each.pipeline,
                "context": each.context,
                "references": {kind: list(files) for kind, files in each.types.items()},
            }
            for each in found.first
        ]
        return found.summary() | {"first": first}
