"""Where every table, photo and raw answer lives: object storage, shards with markers, and the lock of ingest."""
