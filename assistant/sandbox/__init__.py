"""Where commands run: the rungs, the policy, the limits, the proxy."""
