"""The one loss that is the trouble of all trials."""

from __future__ import annotations


class ClusterLost(BaseException):
    """What runs the timed processes has died with the host alive; nothing can be asked of it any more.

    No ``Exception``: it is the trouble of all trials, and none may take it for its own.
    """
