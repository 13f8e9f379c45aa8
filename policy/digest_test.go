package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"sidecar/internal/caller"
)

// paths lists the fields of a struct type and of the structs in it, as "block.setCookie.Drop".
func paths(t reflect.Type, prefix string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return []string{prefix}
	}
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		out = append(out, paths(f.Type, strings.TrimPrefix(prefix+"."+f.Name, "."))...)
	}
	return out
}

// change gives the field at path another value.
func change(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	for name := range strings.SplitSeq(path, ".") {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		f := v.FieldByName(name)
		v = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem() // unexported fields too
	}
	fill(t, v)
}

func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		m.SetMapIndex(reflect.Zero(v.Type().Key()), reflect.Zero(v.Type().Elem()))
		v.Set(m)
	default:
		t.Fatalf("the test cannot change a %s", v.Type())
	}
}

// Every field of these types decides, but those that are named here with their reason.
func TestADigestChangesWithEveryField(t *testing.T) {
	for _, c := range []struct {
		value  any
		exempt []string
	}{
		{cacheBlock{}, []string{
			"memory", "ignoreDirectives", "verify", // how a stored response is used
			"at.scope.Line", "at.scope.Column", "at.ttl.Line", "at.ttl.Column",
			"at.authorized.Line", "at.authorized.Column",
			// places in the file
			"at.override.Line", "at.override.Column", "at.memory.Line", "at.memory.Column",
			"at.directives.Line", "at.directives.Column", "at.tags",
		}},
		{caller.Config{}, []string{"JWT.Secret"}}, // a secret is in no key and no record
		{route{}, []string{
			// a label
			"name",
			// in the file
			"line",
			// how a job runs
			"job",
			// how an
			"cache.Rules", "cache.Scope", "cache.MaxBody", "cache.Strip", "cache.SetCookie",
			"cache.Memory", "cache.Vary", "cache.Verify",
			// entry is made
			"cache.Digest", "cache.StrippedTargets", "cache.partition", "cache.query",
			"cache.tagFields", "cache.tagParams",
		}},
	} {
		typ := reflect.TypeOf(c.value)
		for _, path := range paths(typ, "") {
			v := reflect.New(typ)
			// Pointers on the way are set first, so that only the field itself differs.
			if i := strings.LastIndexByte(path, '.'); i >= 0 {
				prepare(v, path[:i])
			}
			before := digest(v.Interface())
			change(t, v, path)
			exempt := slices.ContainsFunc(c.exempt,
				func(e string) bool { return path == e || strings.HasPrefix(path, e+".") })
			if changed := digest(v.Interface()) != before; changed == exempt {
				t.Errorf("%s.%s: the digest changes: %t", typ, path, changed)
			}
		}
	}
}

// prepare makes the pointers on a path point to something.
func prepare(v reflect.Value, path string) {
	for name := range strings.SplitSeq(path, ".") {
		for v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		f := v.FieldByName(name)
		f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
		if f.Kind() == reflect.Pointer && f.IsNil() {
			f.Set(reflect.New(f.Type().Elem()))
		}
		v = f
	}
}

// The parts of a value cannot be moved between its fields without a change of the digest.
func TestADigestIsInjective(t *testing.T) {
	type pair struct {
		a, b string
		list []string
		m    map[string]string
	}
	seen := map[string]pair{}
	for _, p := range []pair{
		{}, {a: "xy"}, {b: "xy"}, {a: "x", b: "y"}, {list: []string{"xy"}},
		{list: []string{"x", "y"}}, {list: []string{"", "xy"}},
		{m: map[string]string{"x": "y"}}, {m: map[string]string{"xy": ""}},
		{m: map[string]string{"x": "", "y": ""}},
	} {
		sum := digest(p)
		if other, twice := seen[sum]; twice {
			t.Errorf("%+v and %+v have one digest", p, other)
		}
		seen[sum] = p
	}
}

// A table is kept as long as it is in force; the syntax tree of its file is not.
func TestALiveTableHoldsNoSyntaxTree(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		if strings.Contains(typ.PkgPath(), "goccy") || strings.HasSuffix(typ.PkgPath(), "yamldoc") {
			t.Errorf("%s is a %s", path, typ)
		}
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
			walk(path, typ.Elem())
		case reflect.Map:
			walk(path, typ.Key())
			walk(path, typ.Elem())
		case reflect.Struct:
			for i := range typ.NumField() {
				walk(path+"."+typ.Field(i).Name, typ.Field(i).Type)
			}
		}
	}
	walk("Table", reflect.TypeFor[Table]())
	if !seen[reflect.TypeFor[route]()] {
		t.Fatal("the routes were not looked at")
	}
}
