package policy

import (
	"crypto/sha256"
	"encoding/hex"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/policy/pattern"
	"sidecar/policy/yamldoc"
)

// Options of Load.
type Options struct {
	File string // as findings name it
	// Env looks up a variable of the environment. nil: the file alone is checked, without the
	// variables and files that it refers to.
	Env func(name string) (value string, ok bool)
	// Secret is the HMAC key of callers and keys, nil while it is not known.
	Secret func() []byte
	// Queues are those that workers serve; empty: any name will do.
	Queues []string
	// MaxInspect is how much of a body is decoded to fill templates, in bytes; 0: 1 MiB.
	MaxInspect int64
	// Format is the version of the stored format: entries of two never meet.
	Format string
}

// Load reads a policies file. err is not nil if there is a fault, and is then the findings; they
// also hold smells.
func Load(content []byte, o Options) (t *Table, found *yamldoc.Findings, err error) {
	if o.Secret == nil {
		o.Secret = func() []byte { return nil }
	}
	if o.MaxInspect == 0 {
		o.MaxInspect = 1 << 20
	}
	l := &loader{
		Reader:  yamldoc.NewReader(o.File, content),
		options: o,
		caller:  caller.Default(),
		cache:   defaultCache(),
		job:     defaultJob(),
		shapes:  map[*cachekeys.Template][]string{},
	}
	l.Hints = hints()
	if root := l.Root(); !root.Absent() {
		l.file(root)
	}
	if found = l.Findings(); found.Faulty() {
		return nil, found, found
	}
	sum := sha256.Sum256(content)
	t = l.table(hex.EncodeToString(sum[:8]))
	if t.identifier, err = caller.New(l.caller, o.Secret); err != nil {
		l.Fault(l.callerAt, "the keys of tokens cannot be used: %v", err)
		return nil, l.Findings(), found
	}
	return t, found, nil
}

// A loader reads one file. It holds the syntax tree, and ends with Load.
type loader struct {
	*yamldoc.Reader
	options Options

	caller   caller.Config
	callerAt yamldoc.Place
	// nil where the file does not say it
	credentialsAt, notCredentialsAt *yamldoc.Place
	jwt                             bool
	cache                           cacheBlock // defaults
	job                             JobPlan    // defaults
	routes                          []*draft
	scheduled                       []*Schedule
	matcher                         pattern.Matcher[*draft]
	shapes                          map[*cachekeys.Template][]string // see touches
	// of all routes, for the smells
	writes, tags shapeIndex

	patternCount, templateCount int
	incomplete                  bool // some route could not be read
}

// field names a key of a mapping and the function that reads its value.
func field(name string, read func(yamldoc.Node)) yamldoc.Field {
	return yamldoc.Field{Name: name, Read: read}
}

// file reads the whole file. The caller block and the defaults come first wherever they stand,
// since routes need them.
func (l *loader) file(root yamldoc.Node) {
	var version, callers, defaults, routes, schedules yamldoc.Node
	if !l.Mapping(root, "the file",
		field("version", yamldoc.Keep(&version)), field("caller", yamldoc.Keep(&callers)),
		field("defaults", yamldoc.Keep(&defaults)),
		field("routes", yamldoc.Keep(&routes)), field("schedules", yamldoc.Keep(&schedules))) {
		return
	}
	switch {
	case version.Absent() && l.Meant("version", 0, root):
	case version.Absent():
		l.Fault(root, "version is missing: the file begins with version: 1")
	case version.Raw() != "1":
		l.Fault(version,
			"this sidecar reads version 1 and no other: the file begins with version: 1")
	}
	l.callerAt = root.At()
	if !callers.Absent() {
		l.callerAt = callers.At()
		l.callers(callers)
	}
	if !defaults.Absent() {
		l.Mapping(defaults, "defaults",
			field("cache", func(n yamldoc.Node) { l.cacheFields(n, &l.cache, true) }),
			field("job", func(n yamldoc.Node) { l.jobFields(n, &l.job, true) }))
	}
	if !routes.Absent() {
		for _, n := range l.List(routes, "routes") {
			l.route(n)
		}
	}
	if !schedules.Absent() {
		l.schedules(schedules)
	}
	l.smells()
}
