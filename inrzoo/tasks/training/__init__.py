"""Running a task: a task and its data come in, a run folder with checkpoints, metrics and a curve goes out."""
