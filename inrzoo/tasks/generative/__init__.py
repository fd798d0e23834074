"""The parts of the task `generate`: subjects, codes, diffusion, sampling, and what judges the samples."""
