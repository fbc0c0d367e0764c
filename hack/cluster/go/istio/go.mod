// Only kubernetes/customresourcedefinitions.gen.yaml of this module is used.
module modelramp.local/cluster/istio

go 1.26.0

require istio.io/api v1.31.1
