"""Speed, as ratios within one run: ours against the bare part it stands on."""
