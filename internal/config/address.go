package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// addressFault says why a text is no address to listen at; "" if it is one.
func addressFault(address string) string {
	const like = "like :8080 or 127.0.0.1:8080"
	host, port, err := net.SplitHostPort(address)
	_, bare := strconv.ParseUint(address, 10, 16)
	number, bad := strconv.Atoi(port)
	switch {
	case bare == nil:
		return fmt.Sprintf("%q is no address with a port, %s: write :%[1]s", address, like)
	case strings.Contains(address, "://"):
		return "it is an address, " + like + ", and no URL"
	case strings.Count(address, ":") > 1 && !strings.HasPrefix(address, "["):
		return fmt.Sprintf("%q is no address with a port: one of IPv6 is like [::1]:8080", address)
	case err != nil || port == "":
		return fmt.Sprintf("%q is no address with a port, %s", address, like)
	case bad == nil && (number < 0 || number > 65535):
		return fmt.Sprintf("%q has no port from 0 to 65535", address)
	case bad != nil:
		if _, err := net.LookupPort("tcp", port); err != nil {
			return fmt.Sprintf("%q has no port: %s", address, like)
		}
	case strings.ContainsAny(host, " /"):
		return fmt.Sprintf("%q is no address with a port, %s", address, like)
	}
	return ""
}

// backendFault says why a text is no URL of an API; "" if it is one. It never quotes a part that
// may be a password.
func backendFault(text string) string {
	const like = "like http://127.0.0.1:3000 or unix:///run/api.sock"
	u, err := url.Parse(text)
	switch {
	case quotedWhole(text):
		return unquote
	case !strings.Contains(text, ":/") && !strings.HasPrefix(text, "unix:"):
		if strings.ContainsAny(text, ".:") && !strings.ContainsAny(text, "@/ ") ||
			text == "localhost" {
			return fmt.Sprintf("%q has no scheme: write http://%[1]s", text)
		}
		return "it has no scheme, and is " + like
	case err != nil || !slices.Contains([]string{"http", "https", "h2c", "unix"}, u.Scheme):
		return schemeOf(text) + "it is no URL of http, https, h2c or unix, " + like
	case u.Scheme == "unix":
		return ""
	case u.Host == "":
		return "it names no host, and is " + like
	case u.User != nil:
		return "it has a user: take that out, since requests pass with their own credentials"
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return "it ends behind host and port: requests pass with the path that they have, so take " +
			"the rest out"
	}
	if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 ||
		port > 65535) {
		return "its port is none from 1 to 65535"
	}
	return ""
}

const unquote = "the quotes are a part of its value: take them off"

// quotedWhole reports whether a value begins and ends with the same quote, which some readers of
// files with variables keep.
func quotedWhole(value string) bool {
	last := len(value) - 1
	return last > 0 && value[0] == value[last] && (value[0] == '"' || value[0] == '\'')
}
