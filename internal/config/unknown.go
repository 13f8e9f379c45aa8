package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"sidecar/internal/nearest"
)

// ours are the prefixes under which an unknown variable is a fault. It is probably misspelt, and
// the sidecar would run without a setting that the user wanted.
var ours = []string{"REDIS_", "JOBS_", "BREAKER_", "BACKEND_"}

// kubernetesPort matches the port variables that Kubernetes sets in every container of the
// namespace for each Service.
var kubernetesPort = regexp.MustCompile(`_PORT_\d+_(TCP|UDP|SCTP)`)

// withoutKubernetes removes the variables that Kubernetes sets for Services; a Service named redis
// sets REDIS_PORT=tcp://…
func withoutKubernetes(vars map[string]string) {
	for name, value := range vars {
		isOurs := slices.ContainsFunc(ours, func(p string) bool {
			return strings.HasPrefix(name, p)
		})
		switch {
		case !isOurs:
		case strings.HasSuffix(name, "_SERVICE_HOST"), strings.Contains(name, "_SERVICE_PORT"),
			kubernetesPort.MatchString(name):
			delete(vars, name)
		case strings.HasSuffix(name, "_PORT") && strings.HasPrefix(value, "tcp://"):
			delete(vars, name)
			u, err := url.Parse(value)
			host := vars[strings.TrimSuffix(name, "_PORT")+"_HOST"]
			if isKnown(name) && host != "" && err == nil && u.Port() != "" {
				vars[name] = u.Port()
			}
		}
	}
}

func isKnown(name string) bool {
	return slices.ContainsFunc(variables(), func(v Variable) bool {
		return v.Name == name || v.Secret && v.Name+"_FILE" == name
	})
}

// unknown reports unknown variables under ours.
func unknown(vars map[string]string) Faults {
	var faults Faults
	for name := range vars {
		switch {
		case isKnown(name):
		case slices.ContainsFunc(ours, func(p string) bool { return strings.HasPrefix(name, p) }):
			msg := "there is no such variable: see sidecar env"
			if meant := nearestTo(name); meant != "" {
				msg = fmt.Sprintf("there is no such variable: did you mean %s? (see sidecar env)",
					meant)
			}
			faults = append(faults, Fault{name, msg})
		}
	}
	return faults
}

// nearestTo is the known variable with the most similar name.
func nearestTo(name string) string {
	var names []string
	for _, v := range variables() {
		names = append(names, v.Name)
	}
	if same := spelling(name); same != "" {
		return same
	}
	return nearest.To(name, names)
}
