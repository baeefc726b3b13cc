from four_hosts import four_hosts, hosts_script, traces_of

__all__ = ["four_hosts", "hosts_script", "traces_of"]
