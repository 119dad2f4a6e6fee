"""Image, compose, Helm chart, kustomize tree and MoE backends, with the programs that write and check them."""
