package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sidecar/internal/nearest"
)

// words are those of variables of other programs, by ours.
var words = map[string]string{
	"ADDRESS": "ADDR", "PORT": "ADDR", "BIND": "ADDR", "CONNS": "CONNECTIONS", "PASS": "PASSWORD",
	"PWD": "PASSWORD", "USER": "USERNAME", "SSL": "TLS", "DATABASE": "DB", "PROXY": "PROXIES",
	"POLICY": "POLICIES",
}

// hosts are words for the hosts of Redis.
var hosts = map[string]string{
	"ADDR": "HOST", "ADDRESS": "HOST", "SERVER": "HOST", "ADDRS": "HOSTS", "NODES": "HOSTS",
	"SERVERS": "HOSTS", "ADDRESSES": "HOSTS",
}

// spelling is the known variable that says the same as name in other words, without underscores,
// with fewer words, or with one letter more or less; "" if there is none.
func spelling(name string) string {
	var known []string
	for _, v := range variables() {
		known = append(known, v.Name)
	}
	bare := strings.TrimSuffix(name, "_NAME")
	for _, meant := range []string{
		translated(name, words), translated(name, hosts), translated(bare, words), bare,
	} {
		if slices.Contains(known, meant) {
			return meant
		}
	}
	return firstOf(known, func(k string) bool { return joined(k) == joined(name) },
		func(k string) bool { return shortened(name, k) },
		func(k string) bool { return shortened(translated(name, hosts), k) },
		func(k string) bool { return len(k) > 4 && nearest.Distance(k, name) == 1 },
		func(k string) bool { return len(k) > 8 && nearest.Distance(k, name) == 2 })
}

// firstOf is the first name for which the first of the conditions holds that holds for any.
func firstOf(names []string, conditions ...func(string) bool) string {
	for _, holds := range conditions {
		if i := slices.IndexFunc(names, holds); i >= 0 {
			return names[i]
		}
	}
	return ""
}

// translated is name with each of its words in the terms of a dictionary.
func translated(name string, dictionary map[string]string) string {
	parts := strings.Split(name, "_")
	for i, word := range parts {
		if ours, ok := dictionary[word]; ok {
			parts[i] = ours
		}
	}
	return strings.Join(parts, "_")
}

func joined(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "_", "")) }

// shortened reports whether a name of several words lacks words in the middle of another one.
func shortened(name, full string) bool {
	short, long := strings.Split(name, "_"), strings.Split(full, "_")
	if len(short) < 2 || len(short) >= len(long) || short[0] != long[0] ||
		short[len(short)-1] != long[len(long)-1] {
		return false
	}
	for _, word := range long {
		if len(short) > 0 && short[0] == word {
			short = short[1:]
		}
	}
	return len(short) == 0
}

// Warnings are about variables that are legal and probably not meant: near misses of ours, and
// secrets that can be guessed or not be read.
func Warnings(environ []string, c Config) Faults {
	var warnings Faults
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if value == "" || isKnown(name) || isUnderOurs(name) || isOfService(name, value) ||
			strings.HasPrefix(name, "OTEL_") { // which are many, and for other programs too
			continue
		}
		if meant := spelling(name); meant != "" {
			warnings = append(warnings, Fault{name,
				fmt.Sprintf("it is none of the variables, and ignored: did you mean %s?", meant)})
		}
	}
	secrets := c.secrets()
	for _, name := range []string{"ADMIN_TOKEN", "KEY_SECRET"} {
		value, err := secrets[name].Value()
		switch length := utf8.RuneCountInString(value); {
		case err != nil:
			warnings = append(warnings, Fault{secrets[name].variable,
				strings.TrimPrefix(err.Error(), secrets[name].variable+": ")})
		case secrets[name].IsSet() && length < minSecret:
			warnings = append(warnings,
				Fault{name, fmt.Sprintf("it is %d long, and can be guessed: "+
					"make one by openssl rand -base64 32", length)})
		}
	}
	return warnings
}

// minSecret is the length from which a secret is no longer warned about, in characters.
const minSecret = 16

func isUnderOurs(name string) bool {
	return slices.ContainsFunc(ours, func(p string) bool { return strings.HasPrefix(name, p) })
}

// isOfService reports whether Kubernetes makes such a variable for a Service.
func isOfService(name, value string) bool {
	return strings.HasSuffix(name, "_SERVICE_HOST") || strings.Contains(name, "_SERVICE_PORT") ||
		kubernetesPort.MatchString(name) || strings.HasPrefix(value, "tcp://")
}
