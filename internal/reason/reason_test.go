package reason_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// list is the name and the text of each reason.
func list(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons[spec.Names[0].Name] = text
		}
		return true
	})
	if len(reasons) < 50 {
		t.Fatalf("only %d reasons were read", len(reasons))
	}
	return reasons
}

// They are values of labels and of a Cache-Status detail, and are told apart by their text alone.
func TestAReasonIsOneShortWordOfItsOwn(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	names := map[string]string{}
	for name, text := range list(t) {
		if !word.MatchString(text) || len(text) > 24 {
			t.Errorf("%s is %q", name, text)
		}
		if other, found := names[text]; found {
			t.Errorf("%s and %s are both %q", name, other, text)
		}
		names[text] = name
	}
}

// A reason that no code gives would be a row of the docs and of dashboards that is never seen.
func TestEachReasonIsGivenSomewhere(t *testing.T) {
	given, name := map[string]bool{}, regexp.MustCompile(`\breason\.(\w+)`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, found := range name.FindAllSubmatch(code, -1) {
			given[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range list(t) {
		if !given[name] {
			t.Errorf("nothing gives %s", name)
		}
	}
}
