package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sidecar/policy/yamldoc"
)

// hints are the additions to messages about the shape of a policies file.
func hints() yamldoc.Hints { return yamldoc.Hints{Examples: examples, Field: fieldHint} }

// examples are values by the name of their field in messages.
var examples = map[string]string{
	"the file":                 "version: 1",
	"caller":                   "{credentials: [header:Authorization]}",
	"jwt":                      "{secret_env: JWT_SECRET, algorithms: [HS256]}",
	"defaults":                 "{cache: {max_body: 2MiB}}",
	"routes":                   "- match: GET /api/characters/{id}",
	"a route":                  "- match: GET /api/characters/{id}",
	"match":                    "GET /api/characters/{id}",
	"cache":                    "{scope: private, ttl: 5m}",
	"scope":                    "private",
	"tags":                     `"character:{id}"`,
	"invalidate":               `"character:{id}"`,
	"an element of tags":       `"character:{id}"`,
	"an element of invalidate": `"character:{id}"`,
	"status":                   "{404: 10s}",
	"verify":                   "{share: 1%}",
	"set_cookie":               "{drop: [csrf_token]}",
	"job":                      "{mode: always}",
	"retry_on":                 "[409]",
	"cors":                     "{origins: [https://game.example]}",
	"schedules":                "- name: cleanup",
	"a schedule":               "- name: cleanup",
	"request":                  "{method: POST, path: /internal/cleanup}",
	"headers":                  `{Authorization: "Bearer {env.TOKEN}"}`,
	"path":                     "/internal/cleanup",
	"cron":                     `"@every 24h"`,
	"timezone":                 "Europe/Berlin",
	"issuer":                   "game",
	"audience":                 "web",
}

// synonyms are names that other programs have for a field.
var synonyms = map[string]string{
	"method": "match", "path": "match", "url": "match", "pattern": "match", "route": "match",
	"expires": "ttl", "expiry": "ttl", "lifetime": "ttl", "max_age": "ttl", "s_maxage": "ttl",
	"max_size": "max_body", "size_limit": "max_body", "purge": "invalidate", "retries": "max_retry",
	"max_retries": "max_retry", "unique": "unique_for", "concurrency": "max_running",
	"iss": "issuer", "aud": "audience", "type": "typ", "secret": "secret_env", "key": "secret_env",
	"jwks_uri": "jwks_url", "every": "cron", "interval": "cron", "tz": "timezone",
	"swr": "stale_while_revalidate", "cookies": "set_cookie", "allowed_origins": "origins",
	"allow_origin": "origins", "public": "scope", "rules": "routes",
}

// places name the blocks of a file, where a field belongs that stands elsewhere.
var places = []struct{ block, place string }{
	{"route", "the route, beside match"}, {"cache", "the cache block of a route"},
	{"job", "the job block of a route"},
	{"jwt", "the jwt block of caller"}, {"caller", "caller"}, {"schedule", "a schedule"},
	{"file", "the file itself, in the first column"},
}

// fieldHint says where an unknown field belongs, or its name here.
func fieldHint(name, what string, names []string, near string) (hint, meant string) {
	bare := strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	other := synonyms[bare]
	if slices.Contains(names, other) {
		switch {
		case what == "a route" && other == "match":
			return "write method and path as match: GET /api/characters/{id}", other
		case other == "cron":
			return `write it as cron: "@every 5m"`, other
		case other == "secret_env":
			return "the secret stands in a variable, which secret_env names", other
		}
		return fmt.Sprintf("did you mean %q?", other), other
	}
	switch {
	case what == "request" && other == "match":
		return `did you mean "path"?`, "path"
	case what == "a schedule" && slices.Contains(fieldsOf()["job"], bare) && near == "":
		return "schedules take it from the job block of defaults", ""
	case what == "defaults" && near == "":
		for _, block := range []string{"cache", "job"} {
			if slices.Contains(fieldsOf()[block], bare) {
				return "it belongs to " + block + " in defaults", ""
			}
		}
	}
	if what == "the file" && name == "apiVersion" {
		return "this is a manifest of Kubernetes, and the policies are the text below its data",
			"version"
	}
	if slices.Contains(names, near) && strings.EqualFold(near, bare) {
		return "", near
	}
	for _, p := range places {
		if slices.Contains(fieldsOf()[p.block], bare) {
			return "it belongs to " + p.place, ""
		}
	}
	return "", near
}

// fieldsOf are the fields of each block, from the schema.
var fieldsOf = sync.OnceValue(func() map[string][]string {
	fields := map[string][]string{}
	var schema map[string]any
	if err := json.Unmarshal(Schema, &schema); err != nil {
		return fields // a test reads the schema
	}
	properties := func(block string, s any) {
		if object, ok := s.(map[string]any); ok {
			list, _ := object["properties"].(map[string]any)
			for name := range list {
				fields[block] = append(fields[block], name)
			}
		}
	}
	definitions, _ := schema["definitions"].(map[string]any)
	for block, s := range definitions {
		properties(block, s)
	}
	properties("file", schema)
	return fields
})
