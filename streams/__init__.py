"""Movement: batches from Kafka to whoever decides, and what he yields back in transactions.

Public entries (stable; all else is inside matter):

- `streams.connection.Connection`: where the brokers are; `aiokafka_settings`, `confluent_settings`.
- `streams.topics`: `ensure_topics(connection, specs)`, `delete_topics`, `partition_counts`, `end_offsets`,
  `committed_offsets(connection, group, topic)`, `all_folded(connection, group, topic, last_offsets)`.
- `streams.fold`: `Fold`, `Folded`, `Output`, `Record`: what the movement asks of the one who decides.
- `streams.worker.run_fold_worker(app_id=, name=, connection=, source_topic=, changelog_topic=, make_fold=, datadir=,
  clock=, horizon=)`: folds the log, exactly once, until SIGTERM; `horizon` is `streams.horizon.Horizon` where time
  passes by itself.
- `streams.sources.run_ingest_worker(app_id=, connection=, topics=, make_ingest=, datadir=)`: reads topics at
  least once, with commits and pauses in the hands of the one who reads. `make_ingest()` gives an object with
  `async run(sources, appender)`: `async for batch in sources.batches()`, `sources.partitions`, `pause(tp)`,
  `resume(tp)`, `await sources.commit({tp: offset})`; `await appender.append(topic, partition, records)`,
  `await appender.flush()`, `await appender.partition_count(topic)` (`streams.appending.NewRecord`).
- `streams.partitions.partition_of(key, partitions)`: murmur2, as Kafka's Java clients do.
- `streams.hard_stop`: exit codes `STOPPED_HARD` (75: start again, it recovers) and `REFUSED` (78: a person has
  to do something first).

Configure `logging` before calling a `run_…`: both log to `tidings.streams` and calm the libraries down.
"""
