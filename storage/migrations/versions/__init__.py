"""The steps of the chain. A new one is added to `lockgate.storage.schema.REVISIONS`."""
