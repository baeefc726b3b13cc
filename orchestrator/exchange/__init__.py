"""Files of other programs become campaigns, and campaigns become files for other programs."""
