"""Models of sensors: model tables, versions and their registry, training and scoring."""
