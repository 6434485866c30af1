"""Traffic routers: Envoy, HAProxy and the Gateway API of Kubernetes."""
