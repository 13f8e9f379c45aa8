// Package k8s has a first set of Kubernetes manifests. Its test decodes them strictly into the
// types of the Kubernetes API. It is a separate module, so that the product does not depend on
// those types.
package k8s
