package config

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"
	"text/tabwriter"
)

// A Variable is one environment variable.
type Variable struct {
	Name    string
	Default string // "" for unset
	Help    string
	Secret  bool // it has a …_FILE form too
}

// Variables returns all variables, sorted by name, from the struct tags of Config.
func Variables() []Variable { return slices.Clone(variables()) }

// variables are those of Variables. They are read once, since each variable of the environment is
// compared with them; nobody changes them.
var variables = sync.OnceValue(func() []Variable {
	vars := variablesOf(reflect.TypeFor[Config](), "")
	slices.SortFunc(vars, func(a, b Variable) int { return cmp.Compare(a.Name, b.Name) })
	return vars
})

func variablesOf(t reflect.Type, prefix string) []Variable {
	var vars []Variable
	for i := range t.NumField() {
		f := t.Field(i)
		if p, ok := f.Tag.Lookup("envPrefix"); ok {
			vars = append(vars, variablesOf(f.Type, prefix+p)...)
			continue
		}
		name := f.Tag.Get("env")
		if name == "-" {
			continue
		}
		vars = append(vars, Variable{
			Name:    prefix + name,
			Default: f.Tag.Get("envDefault"),
			Help:    f.Tag.Get("help"),
			Secret:  f.Type == reflect.TypeFor[Secret](),
		})
	}
	return vars
}

// WriteReference writes the environment reference as `sidecar env` prints it.
func WriteReference(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VARIABLE\tDEFAULT\tMEANING")
	for _, v := range variables() {
		name, def := v.Name, v.Default
		if v.Secret {
			name += " (_FILE)"
		}
		if def == "" {
			def = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, def, v.Help)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, `
A variable with (_FILE) is a secret: NAME_FILE names a file with it, which is read for each use.
JOBS_REDIS_… is a separate Redis for jobs. If one of them is set, REDIS_… is ignored for jobs.
`)
	return err
}
