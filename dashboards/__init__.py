"""Grafana dashboards over the gateway's metrics, built in Python; `make dashboards` writes their JSON."""
