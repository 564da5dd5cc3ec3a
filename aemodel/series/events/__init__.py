"""Events: runs of high scores, the cut that a rule sets, and what that promises."""
