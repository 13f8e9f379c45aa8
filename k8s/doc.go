// Package k8s has a kustomize component that adds the sidecar to a Deployment, and overlays that
// use it. Its tests build them, decode them strictly into the types of the Kubernetes API, and
// check that ports, names, files and times fit. It is a separate module, so that the product does
// not depend on those types.
package k8s
