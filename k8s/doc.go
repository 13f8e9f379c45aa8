// Package k8s holds a first set of Kubernetes manifests; its test decodes them strictly into the API's types. It is a
// module of its own so that those types are no dependency of the product.
package k8s
