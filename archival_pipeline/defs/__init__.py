"""Everything Dagster: resources, ops, graphs, jobs. The only room that imports Dagster."""
