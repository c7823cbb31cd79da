"""Gates side by side in the same worlds, over the size of the defect."""
