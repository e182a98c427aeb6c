"""The library: finds what bears on a study. Knows nothing of tasks, engines or users."""
