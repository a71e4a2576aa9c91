"""Models of sensors: tables of a shard, versions, the registry, training and scoring."""
